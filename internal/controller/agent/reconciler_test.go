// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// TestReconciler follows a map from its first revision to its end, on the memory backend.
func TestReconciler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &memoryHost{memory: enginetest.NewMemory()}
		first := compiled(t, "table", 1, hash(1))
		c := newClient(t, nodeNamed("node"), first)
		p := newParts(t, c, "node", host)
		p.resync = 10 * time.Minute

		result, err := p.reconcile(t.Context(), "table")
		must(t, err)
		m := p.mapState("table")
		if m.State != v1alpha1.NodeMapReady || m.Revision != "table-1" || m.MapID == 0 || !isAbout(result.RequeueAfter, p.resync) {
			t.Errorf("%+v, again in %s", m, result.RequeueAfter)
		}
		if n := len(p.events.Events); n > 0 {
			t.Errorf("%d events about a map that was made", n)
		}
		time.Sleep(time.Minute)
		if result, err = p.reconcile(t.Context(), "table"); err != nil || result.RequeueAfter != p.resync*8/10-time.Minute {
			t.Errorf("a comparison that isn't due: again in %s, %v", result.RequeueAfter, err)
		}
		must(t, c.Create(t.Context(), compiled(t, "table", 2, hash(2))))
		_, err = p.reconcile(t.Context(), "table")
		if got := p.mapState("table"); err != nil || got.Revision != "table-2" || got.MapID != m.MapID {
			t.Errorf("another revision: %+v, %v", got, err)
		}
		must(t, c.DeleteAllOf(t.Context(), &v1alpha1.BPFMapRevision{}, client.InNamespace(first.Namespace)))
		// What vanished may be there again in a moment.
		if result, err := p.reconcile(t.Context(), "table"); err != nil || result.RequeueAfter < patience || len(host.memory.Pins()) == 0 {
			t.Errorf("removed at once: again in %s, %v", result.RequeueAfter, err)
		}
		time.Sleep(patience)
		if _, err := p.reconcile(t.Context(), "table"); err != nil || len(host.memory.Pins()) > 0 || p.mapState("table").Name != "" {
			t.Errorf("removed: %v, pins %v, %+v", err, host.memory.Pins(), p.mapState("table"))
		}
	})
}

// TestDisagreement: while the cache shows an older revision, and the API server says that nobody went back to it,
// the node keeps what it has, and asks again without an event.
func TestDisagreement(t *testing.T) {
	first, second := compiled(t, "table", 1, hash(1)), compiled(t, "table", 2, hash(2))
	p := newParts(t, newClient(t, nodeNamed("node"), second.DeepCopy()), "node", &memoryHost{memory: enginetest.NewMemory()})
	p.resync = time.Hour
	_, err := p.reconcile(t.Context(), "table")
	must(t, err)
	delete(second.Labels, v1alpha1.LabelActive)
	p.client = newClient(t, nodeNamed("node"), first.DeepCopy())
	p.live = asker{newClient(t, nodeNamed("node"), first, second), "node"}
	result, err := p.reconcile(t.Context(), "table")
	if got := p.mapState("table"); err != nil || got.Revision != "table-2" || !isAbout(result.RequeueAfter, p.resync) {
		t.Errorf("%+v, again in %s, %v", got, result.RequeueAfter, err)
	}
}

// newScripted are parts whose engine reports what a test says, and a declared map "table".
func newScripted(t *testing.T) (*parts, *scripted) {
	t.Helper()
	e := &scripted{}
	p := newParts(t, newClient(t, nodeNamed("node"), compiled(t, "table", 1, hash(1))), "node", &fakeHost{engine: e})
	p.resync = time.Hour
	return p, e
}

func reports(r engine.Report) func(context.Context, *revision.Revision) engine.Report {
	return func(context.Context, *revision.Revision) engine.Report { return r }
}

// asked says whether a probe was asked for since the last call.
func (r *nodeReadiness) asked() bool {
	select {
	case <-r.probe:
		return true
	default:
		return false
	}
}

func TestFailures(t *testing.T) {
	problem := errors.New("no memory")
	p, e := newScripted(t)
	e.sync = reports(engine.Report{State: v1alpha1.NodeMapFailed, Reason: v1alpha1.NodeReasonOutOfMemory, Message: "no memory", Err: problem})
	for range 2 {
		if _, err := p.reconcile(t.Context(), "table"); !errors.Is(err, problem) || !p.readiness.asked() {
			t.Errorf("a failure is an error of the reconcile, for which the node is probed: %v", err)
		}
	}
	if n := len(p.events.Events); n != 1 || e.syncs != 2 {
		t.Errorf("%d events of %d failures, want one", n, e.syncs)
	}
	e.sync = reports(engine.Report{State: v1alpha1.NodeMapStalled, Reason: v1alpha1.NodeReasonIncompatible, Err: problem})
	if result, err := p.reconcile(t.Context(), "table"); err != nil || !isAbout(result.RequeueAfter, p.resync) || p.readiness.asked() {
		t.Errorf("stalled: again in %s, %v", result.RequeueAfter, err)
	}
	e.sync = reports(engine.Report{State: v1alpha1.NodeMapPending})
	if result, err := p.reconcile(t.Context(), "table"); err != nil || !isAbout(result.RequeueAfter, referenceRetry) {
		t.Errorf("pending: again in %s, %v", result.RequeueAfter, err)
	}
	if _, err := p.reconcile(t.Context(), "table"); err != nil || e.syncs != 5 {
		t.Errorf("only a map that is as declared may wait: %d syncs, %v", e.syncs, err)
	}
}

// TestInterrupted: what ends because the process ends isn't a failure, and nothing is published of it. What
// was done before is.
func TestInterrupted(t *testing.T) {
	p, e := newScripted(t)
	ctx, stop := context.WithCancel(t.Context())
	e.sync = func(ctx context.Context, _ *revision.Revision) engine.Report {
		stop()
		return engine.Report{State: v1alpha1.NodeMapFailed, Message: "interrupted", Err: ctx.Err()}
	}
	if _, err := p.reconcile(ctx, "table"); err != nil || p.mapState("table").Name != "" || len(p.events.Events) > 0 || p.readiness.asked() {
		t.Errorf("an interruption is published as %+v, %v", p.mapState("table"), err)
	}
	ctx, stop = context.WithCancel(t.Context())
	e.sync = func(context.Context, *revision.Revision) engine.Report {
		stop()
		return engine.Report{State: v1alpha1.NodeMapReady, MapID: 7}
	}
	if _, err := p.reconcile(ctx, "table"); err != nil || p.mapState("table").MapID != 7 {
		t.Errorf("a success is published as %+v, %v", p.mapState("table"), err)
	}
	must(t, p.client.DeleteAllOf(t.Context(), &v1alpha1.BPFMapRevision{}, client.InNamespace("default")))
	ctx, stop = context.WithCancel(t.Context())
	e.remove = func(ctx context.Context, _ revision.Key) engine.Report {
		stop()
		return engine.Report{State: v1alpha1.NodeMapFailed, Err: ctx.Err()}
	}
	p.holdings.known[revision.Key{Namespace: "default", Name: "table"}] = holding{uid: "uid-table", number: 1, present: true, doubted: time.Now().Add(-patience)}
	if _, err := p.reconcile(ctx, "table"); err != nil || p.mapState("table").MapID != 7 {
		t.Errorf("an interrupted removal is published as %+v, %v", p.mapState("table"), err)
	}
}

// TestWhoIsQueued: maps that hold a map that became another one, and maps for which memory was freed.
func TestWhoIsQueued(t *testing.T) {
	p, e := newScripted(t)
	holder := `{type: ArrayOfMaps, maxEntries: 4, inner: {type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 4}, entries: [{key: 1, value: table}]}`
	must(t, p.client.Create(t.Context(), compiled(t, "holder", 1, holder)))
	for _, step := range []struct {
		id        uint32
		unblocked []revision.Key
		want      string
	}{
		{7, nil, "holder"},
		{7, nil, ""},
		{8, []revision.Key{{Namespace: "default", Name: "waiting"}}, "waiting holder"},
		{0, nil, ""},
	} {
		e.sync, e.unblocked = reports(engine.Report{State: v1alpha1.NodeMapPending, MapID: step.id}), step.unblocked
		if _, err := p.reconcile(t.Context(), "table"); err != nil {
			t.Error(err)
		}
		if got := strings.Join(p.queued(), " "); got != step.want {
			t.Errorf("map %d, %d unblocked: %q are queued, want %q", step.id, len(step.unblocked), got, step.want)
		}
	}
}

// TestNodesThatAreNotReady change nothing in the kernel, and say why of each declared map.
func TestNodesThatAreNotReady(t *testing.T) {
	p, e := newScripted(t)
	p.readiness.host.(*fakeHost).set(errors.New("no bpffs"))
	_, _ = p.readiness.look(t.Context())
	for _, name := range []string{"table", "unknown"} {
		if _, err := p.reconcile(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	if m := p.mapState("table"); m.State != v1alpha1.NodeMapFailed || m.Reason != v1alpha1.NodeReasonNodeNotReady || m.Message != "no bpffs" || e.syncs > 0 {
		t.Errorf("%+v, %d syncs", m, e.syncs)
	}
	if m := p.mapState("unknown"); m.Name != "" {
		t.Errorf("a map that isn't declared is published as %+v", m)
	}
}

// TestNodesWithoutLabels: without the labels of the Node nothing is removed.
func TestNodesWithoutLabels(t *testing.T) {
	e := &scripted{remove: func(context.Context, revision.Key) engine.Report { panic("a map is removed") }}
	object := compiled(t, "table", 1, hash(1))
	object.Spec.NodeSelector = map[string]string{"role": "edge"}
	p := newParts(t, newClient(t, object), "node", &fakeHost{engine: e})
	if _, err := p.reconcile(t.Context(), "table"); err == nil {
		t.Error("the labels of a Node that isn't there were read")
	}
}
