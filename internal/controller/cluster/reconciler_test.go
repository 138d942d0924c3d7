// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

func TestReconcile(t *testing.T) {
	g := newRig(t, interceptor.Funcs{}, newMap("foo", 8, "a", "b"), newNode("n1"))
	g.settle("foo")
	g.condition("foo", v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing)
	g.reports("n1")
	g.settle("foo")
	g.condition("foo", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)

	// History is what the limit says; three edits leave the newest one and two before it.
	for i := range 3 {
		g.edit("foo", func(s *v1alpha1.BPFMapSpec) { s.Entries = entries("a", fmt.Sprint(i)) })
		g.settle("foo")
		g.reports("n1")
		g.settle("foo")
	}
	if got, want := g.names(), "foo-2 foo-3 foo-4*"; got != want {
		t.Errorf("revisions are %s, want %s", got, want)
	}
	// Back to one of them, which stays while the spec names it.
	g.edit("foo", func(s *v1alpha1.BPFMapSpec) { s.RollbackTo = "foo-2" })
	for range 3 {
		g.settle("foo")
		g.reports("n1")
	}
	g.settle("foo")
	if got, want := g.names(), "foo-2 foo-3 foo-4 foo-5*"; got != want {
		t.Errorf("revisions are %s, want %s", got, want)
	}
	g.condition("foo", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonEarlierRevision)

	if err := g.store.Delete(t.Context(), g.get("foo")); err != nil {
		t.Fatal(err)
	}
	if _, err := g.reconcile("foo"); err != nil || g.names() != "" {
		t.Errorf("revisions %s are left of a BPFMap that is gone (%v)", g.names(), err)
	}
}

// TestForeignRevision tells people that somebody else's revision has the name of the next one, and continues
// once that is gone.
func TestForeignRevision(t *testing.T) {
	foreign := &v1alpha1.BPFMapRevision{ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: "foo-1"}}
	foreign.Spec.MapName = "bar"
	g := newRig(t, interceptor.Funcs{}, newMap("foo", 8, "a"), foreign, newNode("n1"))
	for range 10 {
		if result, err := g.reconcile("foo"); err != nil || result.RequeueAfter != 0 {
			t.Fatalf("%+v, %v: nothing is to be done again before something changes", result, err)
		}
	}
	message := g.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonNameConflict)
	for _, word := range []string{"foo-1", `"bar"`, "delete"} {
		if !strings.Contains(message, word) {
			t.Errorf("the message %q doesn't say %s", message, word)
		}
	}
	g.condition("foo", v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonNotAccepted)
	if told := g.told(); len(told) != 1 || !strings.Contains(told[0], "NameConflict") {
		t.Errorf("events %q, want one", told)
	}
	requests := revisionToMap(t.Context(), foreign)
	if len(requests) != 2 || requests[0].Name != "bar" || requests[1].Name != "foo" {
		t.Errorf("the revision leads to %v, want its own map and the one that waits for the name", requests)
	}
	if err := g.store.Delete(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	g.settle("foo")
	g.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
}

// TestForeignChunk does the same for a chunk.
func TestForeignChunk(t *testing.T) {
	g := newRig(t, interceptor.Funcs{}, newMap("foo", 1000, many(100, "x")...))
	g.settle("foo")
	var name string
	for name = range g.chunksIn("edge") {
		break
	}
	foreign := &v1alpha1.BPFMapChunk{ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: name}, Entries: []byte("other")}
	g = newRig(t, interceptor.Funcs{}, newMap("foo", 1000, many(100, "x")...), foreign)
	g.settle("foo")
	if message := g.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonNameConflict); !strings.Contains(message, name) {
		t.Errorf("the message %q doesn't name the chunk", message)
	}
	if got := g.names(); got != "" {
		t.Errorf("revisions %s name a chunk with other contents", got)
	}
}

// TestStaleMap deletes nothing of a BPFMap that only the cache doesn't show: the API server has it, or a new
// one of its name.
func TestStaleMap(t *testing.T) {
	hidden := false
	g := newRig(t, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if _, ok := o.(*v1alpha1.BPFMap); ok && hidden {
				return apierrors.NewNotFound(schema.GroupResource{Resource: "bpfmaps"}, key.Name)
			}
			return c.Get(ctx, key, o, opts...)
		},
	}, newMap("foo", 1000, many(100, "x")...))
	g.settle("foo")
	chunks := len(g.chunksIn("edge"))
	hidden = true
	for i := range maxConflicts {
		if result, err := g.reconcile("foo"); err != nil || result.RequeueAfter == 0 {
			t.Fatalf("try %d: %+v, %v: want to look again soon", i, result, err)
		}
	}
	if _, err := g.reconcile("foo"); err == nil || !strings.Contains(err.Error(), "the cache is behind the API server") {
		t.Errorf("after %d tries: %v, want an error that says why", maxConflicts, err)
	}
	if got := g.names(); got != "foo-1*" || len(g.chunksIn("edge")) != chunks {
		t.Errorf("revisions %q and %d of %d chunks are left", got, len(g.chunksIn("edge")), chunks)
	}
	hidden = false
	g.settle("foo")
}

// TestStaleNamesake deletes nothing of a newer BPFMap of the same name.
func TestStaleNamesake(t *testing.T) {
	old := newMap("foo", 8, "a")
	old.UID = "uid-before"
	g := newRig(t, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if m, ok := o.(*v1alpha1.BPFMap); ok {
				old.DeepCopyInto(m)
				return nil
			}
			return c.Get(ctx, key, o, opts...)
		},
	}, newMap("foo", 8, "a"))
	rev := &v1alpha1.BPFMapRevision{ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: "foo-2", Labels: map[string]string{v1alpha1.LabelActive: active}}}
	rev.Spec.MapName, rev.Spec.MapUID, rev.Spec.Number = "foo", "uid-foo", 2
	if err := g.store.Create(t.Context(), rev); err != nil {
		t.Fatal(err)
	}
	if result, err := g.reconcile("foo"); err != nil || result.RequeueAfter == 0 {
		t.Errorf("%+v, %v: want to look again soon", result, err)
	}
	if got := g.names(); got != "foo-2*" {
		t.Errorf("revisions are %q, want that of the newer BPFMap", got)
	}
}

// TestStaleRevisions deletes no chunks that only a revision names which the cache doesn't show.
func TestStaleRevisions(t *testing.T) {
	hidden := ""
	g := newRig(t, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			err := c.List(ctx, list, opts...)
			if l, ok := list.(*v1alpha1.BPFMapRevisionList); ok {
				var shown []v1alpha1.BPFMapRevision
				for _, rev := range l.Items {
					if rev.Name != hidden {
						shown = append(shown, rev)
					}
				}
				l.Items = shown
			}
			return err
		},
	}, newMap("foo", 1000, many(100, "x")...))
	g.settle("foo")
	g.edit("foo", func(s *v1alpha1.BPFMapSpec) { s.Entries = entries(many(100, "y")...) })
	g.settle("foo")
	chunks := len(g.chunksIn("edge"))
	g.edit("foo", func(s *v1alpha1.BPFMapSpec) { s.Entries = entries(many(100, "z")...) })
	hidden = "foo-2"
	if result, err := g.reconcile("foo"); err != nil || result.RequeueAfter == 0 {
		t.Errorf("%+v, %v: want to look again soon", result, err)
	}
	if got := len(g.chunksIn("edge")); got != chunks {
		t.Errorf("%d of %d chunks are left", got, chunks)
	}
	hidden = ""
	g.settle("foo")
	if got := g.names(); got != "foo-1 foo-2 foo-3*" {
		t.Errorf("revisions are %q", got)
	}
}

// TestLastingConflicts become errors, which the rate limiter slows down and the status tells.
func TestLastingConflicts(t *testing.T) {
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "bpfmaprevisions"}, "foo-1", errors.New("the object has been modified"))
	g := newRig(t, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if conflict != nil {
				return conflict
			}
			return c.Create(ctx, o, opts...)
		},
	}, newMap("foo", 8, "a"))
	last := firstConflictRetry / 2
	for i := range maxConflicts {
		result, err := g.reconcile("foo")
		if err != nil || result.RequeueAfter != min(2*last, lastConflictRetry) {
			t.Fatalf("try %d: %+v, %v, want twice the time before", i, result, err)
		}
		last = result.RequeueAfter
	}
	if got := g.get("foo").Status.Conditions; len(got) > 0 {
		t.Errorf("conditions %+v of a spec that nobody looked at", got)
	}
	for range 3 {
		if result, err := g.reconcile("foo"); !apierrors.IsConflict(err) || result.RequeueAfter != 0 {
			t.Fatalf("%+v, %v, want the conflict", result, err)
		}
	}
	if message := g.condition("foo", v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonReconcileFailed); !strings.Contains(message, "has been modified") {
		t.Errorf("message %q", message)
	}
	conflict = nil
	g.settle("foo")
	g.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	if n := g.conflicts.NumRequeues(key("foo")); n != 0 {
		t.Errorf("%d conflicts are remembered after a success", n)
	}
}

// fault lets one kind of request about one kind of object fail.
func fault(verb string, of client.Object, failing *bool) interceptor.Funcs {
	fails := func(v string, o any) error {
		if *failing && v == verb && fmt.Sprintf("%T", o) == fmt.Sprintf("%T", of) {
			return apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, "x", fmt.Errorf("no %s", verb))
		}
		return nil
	}
	return interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if err := fails("create", o); err != nil {
				return err
			}
			return c.Create(ctx, o, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if err := fails("delete", o); err != nil {
				return err
			}
			return c.Delete(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if err := fails("patch", o); err != nil {
				return err
			}
			return c.Patch(ctx, o, p, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			if err := fails("status", o); err != nil {
				return err
			}
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
	}
}

// TestEveryErrorIsTold lets each kind of write fail: the error goes to the rate limiter and into the status, and
// out of it when the write succeeds.
func TestEveryErrorIsTold(t *testing.T) {
	for _, c := range []struct {
		name, verb string
		of         client.Object
		// outdated says that the failure comes before the newest revision is what the spec asks for.
		outdated bool
		// late says that the fault begins after the first reconcile.
		late bool
		say  string
	}{
		{"create a revision", "create", &v1alpha1.BPFMapRevision{}, true, false, "create revision foo-5"},
		{"create a chunk", "create", &v1alpha1.BPFMapChunk{}, true, false, "create chunk foo-"},
		{"cut history", "delete", &v1alpha1.BPFMapRevision{}, true, false, "delete revision foo-1"},
		{"activate", "patch", &v1alpha1.BPFMapRevision{}, true, false, "of revision foo-5"},
		{"roll out", "status", &v1alpha1.BPFMapRevision{}, false, false, "write rollout of foo-5"},
		{"retire", "patch", &v1alpha1.BPFMapRevision{}, false, true, "of revision foo-4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			failing := false
			g := newRig(t, fault(c.verb, c.of, &failing), newMap("foo", 1000, many(100, "x0")...))
			g.limits.history = 10
			for i := range 4 {
				g.edit("foo", func(s *v1alpha1.BPFMapSpec) { s.Entries = entries(many(100, fmt.Sprint("x", i))...) })
				g.settle("foo")
			}
			g.limits.history = 2
			g.edit("foo", func(s *v1alpha1.BPFMapSpec) { s.Entries = entries(many(100, "new")...) })
			failing = !c.late
			var err error
			for range 5 { // some failures come only once the rollout has ended
				if _, err = g.reconcile("foo"); err != nil {
					break
				}
				failing = true
			}
			if !apierrors.IsForbidden(err) {
				t.Fatalf("%v, want the error that the API server gave", err)
			}
			message := g.condition("foo", v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonReconcileFailed)
			if !strings.Contains(message, c.say) || !strings.Contains(message, "no "+c.verb) {
				t.Errorf("the message %q doesn't say %q and the cause", message, c.say)
			}
			if c.outdated {
				g.condition("foo", v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonReconcileFailed)
				g.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionUnknown, v1alpha1.ReasonReconcileFailed)
			} else {
				g.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
			}
			failing = false
			g.settle("foo")
			g.condition("foo", v1alpha1.ConditionReconciling, metav1.ConditionFalse, v1alpha1.ReasonReconcileSucceeded)
			g.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
		})
	}
}

// TestStatusWriteFails returns the error of the step and that of the write.
func TestStatusWriteFails(t *testing.T) {
	failing := true
	g := newRig(t, fault("status", &v1alpha1.BPFMap{}, &failing), newMap("foo", 8, "a"))
	if _, err := g.reconcile("foo"); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "write status") {
		t.Errorf("%v, want the error of the status", err)
	}
	if told := g.told(); len(told) == 0 || strings.Contains(strings.Join(told, " "), "NoNodesSelected") {
		t.Errorf("events %q tell of a status that wasn't written", told)
	}
}

// TestConcurrentMaps reconciles many BPFMaps at the same time, each by one worker at a time as the work queue
// does, in two namespaces.
func TestConcurrentMaps(t *testing.T) {
	var objects []client.Object
	var names []string
	for i := range 12 {
		name := fmt.Sprintf("ns%d/map-%d", i%2, i)
		names = append(names, name)
		objects = append(objects, newMap(name, 1000, many(60, "x")...))
	}
	g := newRig(t, interceptor.Funcs{}, objects...)
	var all sync.WaitGroup
	for _, name := range names {
		all.Go(func() {
			for round := range 4 {
				for range 4 {
					if _, err := g.reconcile(name); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
				m := &v1alpha1.BPFMap{}
				if err := g.store.Get(t.Context(), key(name), m); err != nil {
					t.Error(err)
					return
				}
				m.Generation++
				m.Spec.Entries = entries(many(60, fmt.Sprint(round))...)
				if err := g.store.Update(t.Context(), m); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for _, name := range names {
		g.settle(name)
	}
	if len(g.reserved.made) > 0 {
		t.Errorf("reservations %v are left", g.reserved.made)
	}
	for _, namespace := range []string{"ns0", "ns1"} {
		if got := len(g.revisionsIn(namespace)); got != 6*3 {
			t.Errorf("%d revisions in %s, want 3 of each of 6 BPFMaps", got, namespace)
		}
	}
}
