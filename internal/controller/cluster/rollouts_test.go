// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/liveness"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
)

// TestRolloutState holds the states of a rollout against what a node reports.
func TestRolloutState(t *testing.T) {
	newest := &v1alpha1.BPFMapRevision{ObjectMeta: metav1.ObjectMeta{Name: "foo-2"}}
	report := func(uid, revision string, state v1alpha1.NodeMapState, drifted bool) v1alpha1.NodeMap {
		return v1alpha1.NodeMap{UID: uid, Revision: revision, State: state, Drifted: drifted, Reason: "Reason", Message: "message"}
	}
	for _, c := range []struct {
		what   string
		m      v1alpha1.NodeMap
		wanted bool
		want   rollout.State
		cause  string
	}{
		{"no report", v1alpha1.NodeMap{}, true, rollout.Pending, ""},
		{"the revision before", report("u", "foo-1", v1alpha1.NodeMapFailed, false), true, rollout.Pending, ""},
		{"another BPFMap", report("v", "foo-2", v1alpha1.NodeMapReady, false), true, rollout.Pending, ""},
		{"waits", report("u", "foo-2", v1alpha1.NodeMapPending, false), true, rollout.Pending, ""},
		{"ready", report("u", "foo-2", v1alpha1.NodeMapReady, false), true, rollout.Updated, ""},
		{"failed", report("u", "foo-2", v1alpha1.NodeMapFailed, false), true, rollout.Failed, "Reason: message"},
		{"stalled", report("u", "foo-2", v1alpha1.NodeMapStalled, false), true, rollout.Failed, "Reason: message"},
		{"drifted", report("u", "foo-2", v1alpha1.NodeMapReady, true), true, rollout.Failed, "Reason: message"},
		{"not wanted and gone", v1alpha1.NodeMap{}, false, rollout.Updated, ""},
		{"not wanted and there", report("u", "foo-1", v1alpha1.NodeMapReady, false), false, rollout.Pending, ""},
		{"not wanted, there is a namesake's", report("v", "foo-1", v1alpha1.NodeMapReady, false), false, rollout.Updated, ""},
	} {
		if got, cause := rolloutState(&c.m, newest, c.wanted, "u"); got != c.want || cause != c.cause {
			t.Errorf("%s: state %d because of %q, want %d because of %q", c.what, got, cause, c.want, c.cause)
		}
	}
}

func edgeRevision(name, role string, number int64, frontier string) v1alpha1.BPFMapRevision {
	r := v1alpha1.BPFMapRevision{ObjectMeta: metav1.ObjectMeta{Name: name}}
	r.Spec.NodeSelector, r.Spec.Number, r.Status.Rollout.Frontier = map[string]string{"role": role}, number, frontier
	return r
}

// TestRolloutNodes are those that are to have the map by the newest revision, and those that are to give it up for
// that, with what is known of their liveness.
func TestRolloutNodes(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	node := func(name, role string) fleetNode {
		return fleetNode{name: name, labels: map[string]string{"role": role}, created: at(1), ready: at(2)}
	}
	gone := func(name, role string) fleetNode {
		n := node(name, role)
		n.live = liveness.Liveness{State: liveness.AgentUnknown, Since: at(3), Message: "the agent has no pod"}
		return n
	}
	holds := func(revision string) v1alpha1.NodeMap {
		return v1alpha1.NodeMap{UID: "u", Revision: revision, State: v1alpha1.NodeMapReady}
	}
	f := fleet{
		nodes: []fleetNode{
			gone("a", "edge"), node("b", "core"), node("c", "db"), node("d", "edge"), gone("e", "core"), node("relabelled", "db"),
			node("relabelled-later", "db"), node("gave-up", "edge"),
		},
		revisions: []v1alpha1.BPFMapRevision{edgeRevision("foo-1", "edge", 1, rollout.All), edgeRevision("foo-2", "core", 2, rollout.None)},
		mapStates: map[string]v1alpha1.NodeMap{
			"d": holds("foo-1"), "e": holds("foo-2"), "relabelled": holds("foo-1"), "relabelled-later": holds("foo-2"),
		},
	}
	want := []rollout.Node{
		{Name: "a", Away: true, Since: at(3), Joined: at(1), Cause: "the agent has no pod"}, // need not have had the map
		{Name: "b", Since: at(2), Joined: at(1)},
		{Name: "d", Since: at(2), Joined: at(1)},
		{Name: "e", State: rollout.Updated, Away: true, Since: at(3), Joined: at(1), Cause: "the agent has no pod"},
		{Name: "relabelled", Since: at(2), Joined: at(1)}, // the new revision takes the map from it, too
		{Name: "gave-up", State: rollout.Updated, Since: at(2), Joined: at(1)},
	}
	if diff := cmp.Diff(want, f.rolloutNodes("u")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	nodes, assigned := f.assigned()
	if len(nodes) != 3 || assigned["a"] != "foo-1" {
		t.Errorf("%v are to hold %v, want a to hold the first one until the second gets there", nodes, assigned)
	}
}

// TestLeavers are nodes whose labels changed under the revision that they hold, and those that were released.
func TestLeavers(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	name := types.NamespacedName{Namespace: "edge", Name: "foo"}
	state := func(revision string) *v1alpha1.BPFNodeState {
		s := &v1alpha1.BPFNodeState{}
		s.Status.Releases = []v1alpha1.MapRelease{
			{Namespace: "edge", Name: "other", Revision: "other-1", Time: metav1.NewTime(at(1))},
			{Namespace: "edge", Name: "foo", Revision: revision, Time: metav1.NewTime(at(9))},
		}
		return s
	}
	holds := v1alpha1.NodeMap{UID: "u", Revision: "foo-1", State: v1alpha1.NodeMapReady}
	f := fleet{
		nodes: []fleetNode{
			{name: "matches", labels: map[string]string{"role": "edge"}}, {name: "relabelled"}, {name: "released"}, {name: "done"},
			{name: "never-had-it"}, {name: "has-a-namesake's"}, {name: "released-from-another"},
			{name: "released-from-a-namesake's"},
			{name: "put-back", labels: map[string]string{"role": "edge"}},
			{name: "away", live: liveness.Liveness{State: liveness.NodeUnknown, Since: at(5), Message: "the Node isn't Ready"}},
		},
		revisions: []v1alpha1.BPFMapRevision{edgeRevision("foo-1", "edge", 1, rollout.All)},
		mapStates: map[string]v1alpha1.NodeMap{
			"matches": holds, "relabelled": holds, "released": holds, "put-back": holds, "away": holds, "released-from-another": holds, "released-from-a-namesake's": holds,
			"has-a-namesake's": {UID: "v", Revision: "foo-1"},
		},
	}
	ofNamesake := state("foo-1")
	ofNamesake.Status.Releases[1].UID = "v"
	got := f.leavers(name, "u", map[string]*v1alpha1.BPFNodeState{
		"released-from-a-namesake's": ofNamesake, "released": state("foo-1"), "done": state("foo-1"), "put-back": state("foo-1"), "released-from-another": state("foo-0"), "of-no-node": state("foo-1"),
	})
	want := []rollout.Leaver{
		{Name: "relabelled", Holds: true},
		{Name: "released", Holds: true, Released: at(9)},
		{Name: "done", Released: at(9)},
		{Name: "released-from-another", Holds: true, Selected: true, Released: at(9)},
		{Name: "released-from-a-namesake's", Selected: true, Released: at(9)},
		{Name: "put-back", Holds: true, Selected: true, Released: at(9)},
		{Name: "away", Holds: true, Away: true, Since: at(5), Cause: "the Node isn't Ready"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
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
