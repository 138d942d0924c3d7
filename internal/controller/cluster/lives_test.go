// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/liveness"
)

// livesRig is the verdicts on one node, beside a store of objects and a clock.
type livesRig struct {
	*lives
	t     *testing.T
	store client.Client
	node  *corev1.Node
	clock time.Time
	// changes counts how often the node's maps were told.
	changes int
}

func newLivesRig(t *testing.T) *livesRig {
	t.Helper()
	agents := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: "agents", UID: "ds", Generation: 1}}
	r := &livesRig{t: t, clock: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC), node: &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "n"}}}
	r.store = fake.NewClientBuilder().WithScheme(process.Scheme()).WithObjects(agents, r.node).WithStatusSubresource(&corev1.Pod{}).
		WithIndex(&corev1.Pod{}, indexAgentNode, nodeOfPod).Build()
	r.lives = newLives(r.store, types.NamespacedName{Namespace: "system", Name: "agents"}, func() time.Time { return r.clock },
		func(context.Context, *corev1.Node) { r.changes++ })
	return r
}

// pod makes a pod of the DaemonSet with this name, or of nobody's.
func (r *livesRig) pod(name, owner string, ready corev1.ConditionStatus) *corev1.Pod {
	r.t.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: name, CreationTimestamp: metav1.NewTime(r.clock)}}
	if owner != "" {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: "DaemonSet", Name: owner, Controller: new(true)}}
	}
	p.Spec.NodeName = "n"
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready, LastTransitionTime: metav1.NewTime(r.clock)}}
	if err := r.store.Create(r.t.Context(), p); err != nil {
		r.t.Fatal(err)
	}
	return p
}

// remove deletes a pod, as the watch tells it.
func (r *livesRig) remove(p *corev1.Pod) {
	r.t.Helper()
	if err := r.store.Delete(r.t.Context(), p); err != nil {
		r.t.Fatal(err)
	}
	r.lose(p)
}

// want looks, and compares the verdict and how often the maps have been told.
func (r *livesRig) want(what string, state liveness.State, since time.Time, changes int) {
	r.t.Helper()
	got, err := r.look(r.t.Context(), r.node)
	if err != nil {
		r.t.Fatal(err)
	}
	if got.State != state || (state != liveness.Alive && !got.Since.Equal(since)) || r.changes != changes {
		r.t.Errorf("%s: %+v after %d changes, want state %d since %s after %d", what, got, r.changes, state, since, changes)
	}
	known, err := r.of(r.t.Context(), r.node)
	if err != nil || !known.Same(got) {
		r.t.Errorf("%s: maps are told %+v, %v; want %+v", what, known, err, got)
	}
}

// TestLives follows an agent through an update, a crash and its end.
func TestLives(t *testing.T) {
	r := newLivesRig(t)
	start := r.clock
	r.want("no pod yet, and nobody saw one", liveness.AgentUnknown, time.Time{}, 0)
	r.pod("other", "others", corev1.ConditionTrue)
	r.pod("nobodys", "", corev1.ConditionTrue)
	r.want("pods of others", liveness.AgentUnknown, time.Time{}, 0)
	first := r.pod("a", "agents", corev1.ConditionTrue)
	r.want("a pod that is Ready", liveness.Alive, time.Time{}, 1)

	r.clock = start.Add(time.Minute)
	r.remove(first)
	r.want("a pod that is replaced", liveness.Alive, time.Time{}, 1)
	r.clock = r.clock.Add(3 * time.Second)
	second := r.pod("b", "agents", corev1.ConditionFalse)
	r.want("the next one starts", liveness.Alive, time.Time{}, 1)
	r.clock = start.Add(time.Minute + liveness.Grace)
	r.want("the grace is that of the first one", liveness.AgentUnknown, start.Add(time.Minute), 2)
	r.remove(second)
	third := r.pod("c", "agents", corev1.ConditionFalse)
	r.want("one after the other that doesn't start", liveness.AgentUnknown, start.Add(time.Minute), 2)
	r.remove(third)
	fourth := r.pod("d", "agents", corev1.ConditionTrue)
	r.want("one that does", liveness.Alive, time.Time{}, 3)

	r.clock = start.Add(time.Hour)
	r.remove(fourth)
	r.want("its end", liveness.Alive, time.Time{}, 3)
	r.clock = r.clock.Add(liveness.Grace)
	r.want("after the grace", liveness.AgentUnknown, start.Add(time.Hour), 4)

	r.forget("n")
	r.want("a node that was away", liveness.AgentUnknown, time.Time{}, 4)
	again := r.node.DeepCopy()
	again.UID = "n-2"
	r.node = again
	r.want("another node of the name", liveness.AgentUnknown, time.Time{}, 4)
}

// TestRulesOfDaemonSet are read again when it changes, and say when it is gone.
func TestRulesOfDaemonSet(t *testing.T) {
	r := newLivesRig(t)
	d := &appsv1.DaemonSet{}
	if err := r.store.Get(t.Context(), r.daemonSet, d); err != nil {
		t.Fatal(err)
	}
	r.want("it runs everywhere", liveness.AgentUnknown, time.Time{}, 0)
	d.Spec.Template.Spec.NodeSelector, d.Generation = map[string]string{"role": "edge"}, 2
	if err := r.store.Update(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	r.want("it doesn't run there", liveness.NoAgent, time.Time{}, 1)
	if err := r.store.Delete(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	r.want("it is gone", liveness.AgentUnknown, time.Time{}, 2)
}

// TestTrimPod keeps what the verdict follows from.
func TestTrimPod(t *testing.T) {
	r := newLivesRig(t)
	p := r.pod("a", "agents", corev1.ConditionTrue)
	p.Spec.Containers = []corev1.Container{{Name: "agent"}}
	o, err := trimPod(p)
	kept := o.(*corev1.Pod)
	if err != nil || !r.owns(kept) || !liveness.IsReady(kept) || kept.Spec.NodeName != "n" || kept.Spec.Containers != nil {
		t.Errorf("kept %+v, %v", kept, err)
	}
	d := &appsv1.DaemonSet{}
	d.Generation, d.Spec.Template.Spec.NodeSelector, d.Spec.Template.Spec.Containers = 3, map[string]string{"a": "b"}, p.Spec.Containers
	o, err = trimDaemonSet(d)
	if kept := o.(*appsv1.DaemonSet); err != nil || kept.Generation != 3 || kept.Spec.Template.Spec.NodeSelector["a"] != "b" || kept.Spec.Template.Spec.Containers != nil {
		t.Errorf("kept %+v, %v", kept, err)
	}
	for _, trim := range []func(any) (any, error){trimPod, trimDaemonSet} {
		if o, err := trim("other"); o != "other" || err != nil {
			t.Errorf("of something else: %v, %v", o, err)
		}
	}
}

// TestOwnsPods: a pod is an agent by its DaemonSet, or by what its label says.
func TestOwnsPods(t *testing.T) {
	l := &lives{daemonSet: types.NamespacedName{Namespace: "system", Name: "agents"}}
	owned := func(kind, name string) []metav1.OwnerReference {
		return []metav1.OwnerReference{{Kind: kind, Name: name, Controller: new(true)}}
	}
	for what, c := range map[string]struct {
		pod  metav1.ObjectMeta
		want bool
	}{
		"of the DaemonSet":     {metav1.ObjectMeta{OwnerReferences: owned("DaemonSet", "agents")}, true},
		"of another DaemonSet": {metav1.ObjectMeta{OwnerReferences: owned("DaemonSet", "others")}, false},
		"of another DaemonSet, with the label": {metav1.ObjectMeta{
			OwnerReferences: owned("DaemonSet", "others"), Labels: map[string]string{v1alpha1.LabelAgent: "true"}}, true},
		"of a Job": {metav1.ObjectMeta{OwnerReferences: owned("Job", "agents")}, false},
	} {
		kept, err := trimPod(&corev1.Pod{ObjectMeta: c.pod})
		if got := l.owns(kept.(*corev1.Pod)); err != nil || got != c.want {
			t.Errorf("a pod %s: %t, %v", what, got, err)
		}
	}
}
