// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

func TestEventsFor(t *testing.T) {
	problem := errors.New("no room")
	failed := engine.Report{State: v1alpha1.NodeMapFailed, Reason: "MapFull", Message: "no room", Err: problem, Revision: "t-1"}
	failing := &v1alpha1.NodeMap{State: v1alpha1.NodeMapFailed, Reason: "MapFull", Revision: "t-1"}
	drift := func(repaired bool) *engine.Drift {
		return &engine.Drift{Kind: plan.DriftContents, Summary: "1 entry changed", Repaired: repaired}
	}
	for name, c := range map[string]struct {
		before *v1alpha1.NodeMap
		report engine.Report
		want   []string
	}{
		"nothing": {nil, engine.Report{}, nil},
		"created": {nil, engine.Report{Action: engine.ActionCreated, PinPath: "/p"}, nil},
		"adopted": {nil, engine.Report{Action: engine.ActionAdopted, PinPath: "/p"}, []string{"Normal Adopted adopted the map at /p with its contents"}},
		"adopted and emptied": {
			nil, engine.Report{Action: engine.ActionAdopted, PinPath: "/p", Plan: plan.Plan{Adoption: &plan.Adoption{MapID: 3, Discard: 2}}},
			[]string{"Normal Adopted adopted the map at /p and deleted 2 elements of others from it"},
		},
		"adopted without a look": {
			nil, engine.Report{Action: engine.ActionAdopted, PinPath: "/p", Plan: plan.Plan{Unverified: "layout not verified: x", Suspicion: "the padding is not zero"}},
			[]string{"Normal Adopted adopted the map at /p with its contents, layout not verified: x", "Warning PaddingNotZero the padding is not zero"},
		},
		"updated":       {nil, engine.Report{Action: engine.ActionUpdated}, nil},
		"replaced":      {nil, engine.Report{Action: engine.ActionReplaced, Message: "replaced map 3"}, []string{"Normal Replaced replaced map 3"}},
		"repaired":      {nil, engine.Report{Drift: drift(true)}, []string{"Warning DriftRepaired 1 entry changed"}},
		"drift appears": {nil, engine.Report{Drift: drift(false)}, []string{"Warning DriftDetected 1 entry changed (driftPolicy Report: this is left as it is)"}},
		"drift with its entries": {nil, engine.Report{Drift: &engine.Drift{
			Kind: plan.DriftContents, Summary: "3 entries changed", Repaired: true, Count: 4, Entries: []v1alpha1.DriftedEntry{
				{Key: "a", Found: "{rate: 9000}", Declared: "{rate: 1000}"}, {Key: "b", Declared: "1"}, {Key: "c", Found: "2"},
			},
		}}, []string{"Warning DriftRepaired 3 entries changed: a: found {rate: 9000}, declared {rate: 1000}; b: missing, declared 1; c: found 2, not declared; and 1 more"}},
		"drift overwritten": {nil, engine.Report{Drift: &engine.Drift{Kind: plan.DriftContents, Summary: "s", Overwritten: 1, Repaired: true}},
			[]string{"Warning DriftOverwritten s"}},
		"drift stays":       {&v1alpha1.NodeMap{Drifted: true}, engine.Report{Drift: drift(false)}, nil},
		"failure begins":    {nil, failed, []string{"Warning Failed MapFull: no room"}},
		"failure continues": {failing, failed, nil},
		"failure of a new revision": {
			&v1alpha1.NodeMap{State: v1alpha1.NodeMapFailed, Reason: "MapFull", Revision: "t-0"}, failed, []string{"Warning Failed MapFull: no room"},
		},
	} {
		var got []string
		for _, n := range eventsFor(c.before, c.report) {
			got = append(got, n.kind+" "+n.reason+" "+n.note)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

// recorded keeps whom events regard and what they are related to.
type recorded struct{ regarding, related []runtime.Object }

func (r *recorded) Eventf(regarding, related runtime.Object, _, _, _, _ string, _ ...any) {
	r.regarding, r.related = append(r.regarding, regarding), append(r.related, related)
}

// TestFailuresOfManyNodes wants a BPFMap that a thousand nodes can't take to get no event from any of them: each tells it
// of its own BPFNodeState. What one node alone knows goes to the BPFMap.
func TestFailuresOfManyNodes(t *testing.T) {
	ctx, r := t.Context(), &recorded{}
	key := revision.Key{Namespace: "edge", Name: "table"}
	failed := engine.Report{Key: key, UID: "map", State: v1alpha1.NodeMapFailed, Reason: "MapFull", Message: "no room", Err: errors.New("no room")}
	for i := range 1000 {
		state := &v1alpha1.BPFNodeState{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%03d", i), UID: types.UID(fmt.Sprint(i))}}
		e := &eventEmitter{r, newClient(t, state), state.Name}
		e.emit(ctx, nil, failed)
		about, ok := r.regarding[i].(*v1alpha1.BPFNodeState)
		if !ok || about.Name != state.Name || about.UID != state.UID || about.Kind != "BPFNodeState" {
			t.Fatalf("the event is about %+v", r.regarding[i])
		}
		if m, ok := r.related[i].(*v1alpha1.BPFMap); !ok || m.Name != "table" || m.Namespace != "edge" || m.UID != "map" {
			t.Fatalf("the event is related to %+v", r.related[i])
		}
	}
	e := &eventEmitter{r, newClient(t), "node"}
	e.emit(ctx, nil, engine.Report{Key: key, Drift: &engine.Drift{Kind: plan.DriftContents, Summary: "1 entry changed", Repaired: true}})
	if m, ok := r.regarding[1000].(*v1alpha1.BPFMap); !ok || m.Name != "table" || r.related[1000] != nil {
		t.Errorf("drift is an event of %+v, related to %+v", r.regarding[1000], r.related[1000])
	}
	e.emit(ctx, nil, failed) // before there is a state
	if about := r.regarding[1001].(*v1alpha1.BPFNodeState); about.Name != "node" || about.UID != "" {
		t.Errorf("before there is a state, the event is about %+v", about)
	}
}

func TestNodeState(t *testing.T) {
	s := newNodeState("node", "v1", Facts{BootID: "boot-2", KernelRelease: "6.18"})
	m := v1alpha1.NodeMap{Namespace: "edge", Name: "b", State: v1alpha1.NodeMapReady, MemlockBytes: 2048}
	s.seed(v1alpha1.BPFNodeStateStatus{BootID: "boot-1", Maps: []v1alpha1.NodeMap{m}})
	if len(s.keys()) != 0 {
		t.Error("maps of an earlier boot are believed")
	}
	s.seed(v1alpha1.BPFNodeStateStatus{BootID: "boot-2", Maps: []v1alpha1.NodeMap{m}})
	if before := s.set(v1alpha1.NodeMap{Namespace: "edge", Name: "a", State: v1alpha1.NodeMapFailed}); before != nil {
		t.Errorf("a state before the first: %+v", before)
	}
	if before := s.set(m); before == nil || before.MemlockBytes != 2048 {
		t.Errorf("the state before: %+v", before)
	}
	now := time.Unix(1000, 0)
	first := s.status(v1alpha1.BPFNodeStateStatus{}, now)
	if len(first.Maps) != 2 || first.Maps[0].Name != "a" || first.Summary.Failed != 1 || first.Summary.Ready != 1 || first.Summary.Memory != "2Ki" {
		t.Errorf("status %+v", first)
	}
	if c := meta.FindStatusCondition(first.Conditions, v1alpha1.ConditionHostReady); c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.NodeReasonNodeNotReady {
		t.Errorf("condition %+v", c)
	}
	s.setReady(&engine.Error{ReasonCode: v1alpha1.ReasonBPFFSMissing, Err: errors.New("mount it")}, nil)
	missing := s.status(first, now.Add(time.Hour))
	c := meta.FindStatusCondition(missing.Conditions, v1alpha1.ConditionHostReady)
	if c.Reason != v1alpha1.ReasonBPFFSMissing || c.Message != "mount it" || !c.LastTransitionTime.Time.Equal(now) {
		t.Errorf("condition %+v, want the time of the last transition", c)
	}
	s.setReady(nil, &Facts{BootID: "boot-2", Features: []string{"Batch"}})
	if ready := s.status(missing, now); ready.Conditions[0].Status != metav1.ConditionTrue || len(ready.Features) != 1 {
		t.Errorf("status %+v", ready)
	}
	if !s.remove(revision.Key{Namespace: "edge", Name: "a"}) || s.remove(revision.Key{Namespace: "edge", Name: "a"}) {
		t.Error("removing a map twice")
	}
	if changes := len(s.publish.waiting); changes != 5 {
		t.Errorf("the publisher was called %d times, want 5", changes)
	}
}

// TestLastMapID: a map of an earlier BPFMap of the same name isn't ours.
func TestLastMapID(t *testing.T) {
	s := newNodeState("node", "v1", Facts{})
	key := revision.Key{Namespace: "edge", Name: "table"}
	s.set(v1alpha1.NodeMap{Namespace: key.Namespace, Name: key.Name, UID: "one", MapID: 7})
	s.set(v1alpha1.NodeMap{Namespace: key.Namespace, Name: key.Name, UID: "one", State: v1alpha1.NodeMapFailed}) // nothing is known of it
	for uid, want := range map[string]int64{"one": 7, "two": 0, "": 0} {
		if id := s.lastMapID(key, uid); id != want {
			t.Errorf("the last map of BPFMap %q is %d, want %d", uid, id, want)
		}
	}
	s.remove(key)
	if id := s.lastMapID(key, "one"); id != 0 {
		t.Errorf("the last map of a removed BPFMap is %d", id)
	}
}
