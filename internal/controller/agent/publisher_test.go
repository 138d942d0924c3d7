// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

func newPublisher(c client.Client) *publisher {
	state := newNodeState("node", "v1", Facts{BootID: "boot"})
	return &publisher{client: c, live: c, node: "node", state: state, looked: closed()}
}

// published is what the API server has.
func published(t *testing.T, c client.Client) *v1alpha1.BPFNodeState {
	t.Helper()
	object := &v1alpha1.BPFNodeState{}
	must(t, c.Get(t.Context(), client.ObjectKey{Name: "node"}, object))
	return object
}

// TestPublisher writes the first change at once, further ones at most once a second, and nothing if nothing
// changed.
func TestPublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, nodeNamed("node"))
		p := newPublisher(c)
		publish := func() reconcile.Result {
			t.Helper()
			result, err := p.Reconcile(t.Context(), reconcile.Request{})
			must(t, err)
			return result
		}
		if result := publish(); result.RequeueAfter > 0 || published(t, c).Status.BootID != "boot" || published(t, c).OwnerReferences[0].Kind != "Node" {
			t.Errorf("%+v, published %+v", result, published(t, c))
		}
		p.state.set(v1alpha1.NodeMap{Namespace: "edge", Name: "table", State: v1alpha1.NodeMapReady})
		result := publish()
		if n := len(published(t, c).Status.Maps); n > 0 || result.RequeueAfter < minPause || result.RequeueAfter > minPause*5/4 {
			t.Errorf("at once: %d maps are published, again in %s", n, result.RequeueAfter)
		}
		time.Sleep(result.RequeueAfter)
		publish()
		if n := len(published(t, c).Status.Maps); n != 1 {
			t.Errorf("a second later: %d maps are published", n)
		}
		time.Sleep(time.Hour)
		version := published(t, c).ResourceVersion
		if publish(); published(t, c).ResourceVersion != version {
			t.Error("what didn't change was written")
		}
	})
}

// TestAnswerBeforeReport: a revision is reported only after the API server answered a question that was asked after
// the node took it. What else changes needs none.
func TestAnswerBeforeReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, nodeNamed("node"))
		p := newPublisher(c)
		questions, away := 0, false
		p.live = interceptor.NewClient(c, interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
				if questions++; away {
					<-ctx.Done()
					return ctx.Err()
				}
				return c.Get(ctx, key, o, opts...)
			},
		})
		set := func(revision, message string) error {
			time.Sleep(time.Minute)
			p.state.set(v1alpha1.NodeMap{Namespace: "edge", Name: "table", State: v1alpha1.NodeMapReady, Revision: revision, Message: message})
			_, err := p.Reconcile(t.Context(), reconcile.Request{})
			return err
		}
		must(t, set("table-1", ""))
		if got := published(t, c).Status.Maps[0].Revision; got != "table-1" || questions != 1 {
			t.Errorf("published %s after %d questions", got, questions)
		}
		must(t, set("table-1", "changed"))
		if got := published(t, c).Status.Maps[0].Message; got != "changed" || questions != 1 {
			t.Errorf("published %q after %d questions", got, questions)
		}
		away = true
		began := time.Now()
		if err := set("table-2", ""); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute+answerWithin {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if got := published(t, c).Status.Maps[0].Revision; got != "table-1" {
			t.Errorf("a node that is cut off reported %s", got)
		}
		away = false
		must(t, set("table-2", ""))
		if got := published(t, c).Status.Maps[0].Revision; got != "table-2" {
			t.Errorf("published %s", got)
		}
	})
}

// TestLostWrites are errors, so that the queue tries them again later and later.
func TestLostWrites(t *testing.T) {
	lost := apierrors.NewConflict(schema.GroupResource{Resource: "bpfnodestates"}, "node", nil)
	c := interceptor.NewClient(newClient(t, nodeNamed("node")), interceptor.Funcs{
		SubResourceUpdate: func(context.Context, client.Client, string, client.Object, ...client.SubResourceUpdateOption) error {
			return lost
		},
	})
	p := newPublisher(c)
	for range 3 {
		if result, err := p.Reconcile(t.Context(), reconcile.Request{}); !apierrors.IsConflict(err) || result.RequeueAfter > 0 {
			t.Errorf("%+v, %v", result, err)
		}
	}
}

// TestLastWrite: when the process ends, what the last reconciles found is written, also within a second of
// the write before; an agent that never knew its node writes nothing.
func TestLastWrite(t *testing.T) {
	c := newClient(t, nodeNamed("node"))
	p := newPublisher(c)
	_, err := p.Reconcile(t.Context(), reconcile.Request{})
	must(t, err)
	p.state.set(v1alpha1.NodeMap{Namespace: "edge", Name: "table", State: v1alpha1.NodeMapReady})
	must(t, p.finish(t.Context()))
	if n := len(published(t, c).Status.Maps); n != 1 {
		t.Errorf("%d maps are published", n)
	}
	p.state.remove(keyOf(published(t, c).Status.Maps[0]))
	p.looked = make(chan struct{})
	must(t, p.finish(t.Context()))
	if n := len(published(t, c).Status.Maps); n != 1 {
		t.Errorf("%d maps are published by an agent that doesn't know its node", n)
	}
}

// TestLastWriteIsBounded: an API server that doesn't answer doesn't keep the process.
func TestLastWriteIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := interceptor.NewClient(newClient(t, nodeNamed("node")), interceptor.Funcs{
			Get: func(ctx context.Context, _ client.WithWatch, _ client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
				<-ctx.Done()
				return ctx.Err()
			},
		})
		start := time.Now()
		if err := newPublisher(c).finish(t.Context()); err == nil || time.Since(start) != lastWrite {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
	})
}

// TestInventory is counted in each period and published with the rest of the state.
func TestInventory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		state := newNodeState("node", "v1", Facts{})
		ended := make(chan error)
		go func() { ended <- (&inventory{host: &fakeHost{}, period: time.Minute, state: state}).Start(ctx) }()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := len(state.publish.waiting); n < 9 || n > 12 || state.status(v1alpha1.BPFNodeStateStatus{}, time.Now()).Inventory.Maps != 3 {
			t.Errorf("%d counts in ten minutes", n)
		}
		stop()
		must(t, <-ended)
	})
}

// TestNothingIsSaidBeforeTheFirstLook: until an agent has looked at its host, however long that takes, what an
// earlier one reported holds.
func TestNothingIsSaidBeforeTheFirstLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := compiled(t, "table", 1, hash(1))
		c := newClient(t, nodeNamed("node"), first)
		parts := newParts(t, c, "node", &fakeHost{})
		parts.readiness = newNodeReadiness(&fakeHost{}) // a look that takes long
		ready := v1alpha1.NodeMap{Namespace: first.Namespace, Name: "table", UID: "uid-table", Revision: "table-1", State: v1alpha1.NodeMapReady}
		parts.state.seed(v1alpha1.BPFNodeStateStatus{Maps: []v1alpha1.NodeMap{ready}})
		_, err := parts.reconcile(t.Context(), "table")
		must(t, err)
		if m := parts.mapState("table"); m.State != v1alpha1.NodeMapReady {
			t.Errorf("the map is %+v", m)
		}
		p := newPublisher(c)
		p.state, p.looked = parts.state, parts.readiness.looked
		done := make(chan error)
		go func() {
			_, err := p.Reconcile(t.Context(), reconcile.Request{})
			done <- err
		}()
		synctest.Wait()
		if err := c.Get(t.Context(), client.ObjectKey{Name: "node"}, &v1alpha1.BPFNodeState{}); !apierrors.IsNotFound(err) {
			t.Errorf("it wrote before it looked: %v", err)
		}
		_ = parts.readiness.lookAndTell(t.Context(), func(_ context.Context, err error) { parts.state.setReady(err, nil) })
		must(t, <-done)
		if maps := published(t, c).Status.Maps; len(maps) != 1 || maps[0].State != v1alpha1.NodeMapReady {
			t.Errorf("it wrote %+v", maps)
		}
	})
}

// TestOwnWritesAreNoConflicts: a cache that doesn't show the last write yet isn't what the next one is made on.
func TestOwnWritesAreNoConflicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := newClient(t, nodeNamed("node"))
		var shown *v1alpha1.BPFNodeState // by the cache
		conflicts := 0
		cache := interceptor.NewClient(good, interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, into client.Object, o ...client.GetOption) error {
				if s, ok := into.(*v1alpha1.BPFNodeState); ok && shown != nil {
					shown.DeepCopyInto(s)
					return nil
				}
				return c.Get(ctx, key, into, o...)
			},
			SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, object client.Object, o ...client.SubResourceUpdateOption) error {
				err := c.SubResource(sub).Update(ctx, object, o...)
				if apierrors.IsConflict(err) {
					conflicts++
				}
				return err
			},
		})
		p := newPublisher(cache)
		p.live = good
		for i := range 4 {
			p.state.set(v1alpha1.NodeMap{Namespace: "edge", Name: "table", State: v1alpha1.NodeMapReady, MapID: int64(i)})
			time.Sleep(2 * minPause)
			_, err := p.Reconcile(t.Context(), reconcile.Request{})
			must(t, err)
			if shown == nil {
				shown = published(t, good) // and no later one
			}
			if id := published(t, good).Status.Maps[0].MapID; id != int64(i) {
				t.Errorf("map %d is published, want %d", id, i)
			}
		}
		if conflicts > 0 {
			t.Errorf("it met its own writes as %d conflicts", conflicts)
		}
	})
}
