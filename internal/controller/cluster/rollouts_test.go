// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/liveness"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
)

// TestStateOf holds the states of a rollout against what a node reports.
func TestStateOf(t *testing.T) {
	newest := &v1alpha1.BPFMapRevision{ObjectMeta: metav1.ObjectMeta{Name: "foo-2"}}
	report := func(uid, revision string, state v1alpha1.NodeMapState, drifted bool) v1alpha1.NodeMap {
		return v1alpha1.NodeMap{UID: uid, Revision: revision, State: state, Drifted: drifted}
	}
	for _, c := range []struct {
		what   string
		m      *v1alpha1.NodeMap
		wanted bool
		want   rollout.State
	}{
		{"no report", nil, true, rollout.Pending},
		{"the revision before", new(report("u", "foo-1", v1alpha1.NodeMapFailed, false)), true, rollout.Pending},
		{"another BPFMap", new(report("v", "foo-2", v1alpha1.NodeMapReady, false)), true, rollout.Pending},
		{"waits", new(report("u", "foo-2", v1alpha1.NodeMapPending, false)), true, rollout.Pending},
		{"ready", new(report("u", "foo-2", v1alpha1.NodeMapReady, false)), true, rollout.Updated},
		{"failed", new(report("u", "foo-2", v1alpha1.NodeMapFailed, false)), true, rollout.Failed},
		{"stalled", new(report("u", "foo-2", v1alpha1.NodeMapStalled, false)), true, rollout.Failed},
		{"drifted", new(report("u", "foo-2", v1alpha1.NodeMapReady, true)), true, rollout.Failed},
		{"not wanted and gone", nil, false, rollout.Updated},
		{"not wanted and there", new(report("u", "foo-1", v1alpha1.NodeMapReady, false)), false, rollout.Pending},
		{"not wanted, there is a namesake's", new(report("v", "foo-1", v1alpha1.NodeMapReady, false)), false, rollout.Updated},
	} {
		f := fleet{mapStates: map[string]v1alpha1.NodeMap{}}
		if c.m != nil {
			f.mapStates["n1"] = *c.m
		}
		if got := f.stateOf("n1", newest, c.wanted, "u"); got != c.want {
			t.Errorf("%s: state %d, want %d", c.what, got, c.want)
		}
	}
}

// TestRolloutNodes are those that the newest revision selects, and those that have the map for now.
func TestRolloutNodes(t *testing.T) {
	node := func(name, role string, ready corev1.ConditionStatus) fleetNode {
		n := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"role": role}}}
		if ready != "" {
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}
		}
		return fleetNode{name: name, labels: n.Labels, live: liveness.Of(&n, liveness.Agent{}, time.Time{})}
	}
	rev := func(name, role string, number int64, frontier string) v1alpha1.BPFMapRevision {
		r := v1alpha1.BPFMapRevision{ObjectMeta: metav1.ObjectMeta{Name: name}}
		r.Spec.NodeSelector, r.Spec.Number, r.Status.Rollout.Frontier = map[string]string{"role": role}, number, frontier
		return r
	}
	f := fleet{
		nodes:     []fleetNode{node("a", "edge", "False"), node("b", "core", "True"), node("c", "db", "")},
		revisions: []v1alpha1.BPFMapRevision{rev("foo-1", "edge", 1, rollout.All), rev("foo-2", "core", 2, rollout.None)},
	}
	got := f.rolloutNodes("u")
	want := []rollout.Node{{Name: "a", State: rollout.Updated, NotReady: true}, {Name: "b"}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("nodes are %+v, want %+v", got, want)
	}
	nodes, assigned := f.assigned()
	if len(nodes) != 1 || assigned["a"] != "foo-1" {
		t.Errorf("%v are to hold %v, want a to hold the first one until the second gets there", nodes, assigned)
	}
}

// TestTrims keeps of objects what this process needs, and nothing else.
func TestTrims(t *testing.T) {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "u", ResourceVersion: "1", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"}}}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeMemoryPressure}, {Type: corev1.NodeReady, Status: corev1.ConditionFalse, Message: "long"}}
	n.Status.Images = make([]corev1.ContainerImage, 50)
	o, err := trimNode(n)
	kept := o.(*corev1.Node)
	if err != nil || kept.Labels["a"] != "b" || kept.Annotations != nil || liveness.Of(kept, liveness.Agent{}, time.Time{}).State == liveness.Alive || len(kept.Status.Conditions) != 1 || kept.Status.Images != nil {
		t.Errorf("kept %+v, %v", kept, err)
	}
	about := &metadata{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "n", UID: "u", ResourceVersion: "1", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"}}}
	o, err = trimMetadata(about)
	if m := o.(*metadata); err != nil || m.Annotations != nil || m.Labels["a"] != "b" || m.Namespace != "x" || m.ResourceVersion != "1" {
		t.Errorf("kept %+v, %v", o, err)
	}
}
