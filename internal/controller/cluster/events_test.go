// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// TestOnTransition tells each change once, and no other.
func TestOnTransition(t *testing.T) {
	const name = v1alpha1.ConditionReady
	condition := func(status metav1.ConditionStatus, reason, message string) []metav1.Condition {
		if status == "" {
			return nil
		}
		return []metav1.Condition{{Type: name, Status: status, Reason: reason, Message: message}}
	}
	bOrD := func(reason string) bool { return reason == "B" || reason == "D" }
	yes, no := metav1.ConditionTrue, metav1.ConditionFalse
	for _, c := range []struct {
		what          string
		before, after []metav1.Condition
		t             transition
		told          bool
	}{
		{"gone", condition(yes, "A", ""), nil, transition{to: yes}, false},
		{"first", nil, condition(yes, "A", ""), transition{to: yes}, true},
		{"first, but only from False", nil, condition(yes, "A", ""), transition{from: no, to: yes}, false},
		{"from False", condition(no, "A", ""), condition(yes, "A", ""), transition{from: no, to: yes}, true},
		{"from Unknown, but only from False", condition("Unknown", "A", ""), condition(yes, "A", ""), transition{from: no, to: yes}, false},
		{"no change", condition(yes, "A", ""), condition(yes, "A", ""), transition{to: yes}, false},
		{"another message", condition(yes, "A", "x"), condition(yes, "A", "y"), transition{to: yes}, false},
		{"another message that counts", condition(yes, "A", "x"), condition(yes, "A", "y"), transition{to: yes, perMessage: true}, true},
		{"the same message", condition(yes, "A", "x"), condition(yes, "A", "x"), transition{to: yes, perMessage: true}, false},
		{"to another status", condition(yes, "A", ""), condition(no, "A", ""), transition{to: yes}, false},
		{"a reason", condition(yes, "A", ""), condition(no, "B", ""), transition{to: no, reasons: bOrD}, true},
		{"another reason", condition(yes, "A", ""), condition(no, "C", ""), transition{to: no, reasons: bOrD}, false},
		{"to a reason", condition(no, "C", ""), condition(no, "B", ""), transition{to: no, reasons: bOrD}, true},
		{"from one reason to another", condition(no, "D", ""), condition(no, "B", ""), transition{to: no, reasons: bOrD}, true},
		{"the same reason", condition(no, "B", "x"), condition(no, "B", "y"), transition{to: no, reasons: bOrD}, false},
	} {
		recorder := events.NewFakeRecorder(10)
		r := &reconciler{events: recorder}
		c.t.kind, c.t.action = corev1.EventTypeNormal, "Test"
		r.onTransition(newMap("foo", 8), c.before, c.after, name, c.t)
		if told := len(recorder.Events) == 1; told != c.told {
			t.Errorf("%s: told %t, want %t", c.what, told, c.told)
		}
	}
}

// TestAnnounceRollout tells of halts, not of each step, nor of an end that no node has confirmed.
func TestAnnounceRollout(t *testing.T) {
	rev := &v1alpha1.BPFMapRevision{ObjectMeta: metav1.ObjectMeta{Name: "foo-2"}}
	for phase, want := range map[v1alpha1.RolloutPhase]string{
		"Halted": "Warning RolloutHalted", "RolledBack": "Warning RolloutRolledBack", "Complete": "",
		"Paused": "Normal RolloutPaused", "Progressing": "", "Before": "",
	} {
		recorder := events.NewFakeRecorder(10)
		r := &reconciler{events: recorder}
		r.announceRollout(newMap("foo", 8), rev, v1alpha1.RolloutStatus{Phase: "Before"}, v1alpha1.RolloutStatus{Phase: phase, Message: "2 of 3"})
		got := ""
		if len(recorder.Events) > 0 {
			got = <-recorder.Events
		}
		if (got == "") != (want == "") || !strings.HasPrefix(got, want) || (want != "" && !strings.Contains(got, "revision foo-2: 2 of 3")) {
			t.Errorf("%s: event %q, want %q", phase, got, want)
		}
	}
}

// TestDriftIsTheAgentsToTell: they know what differs, and tell it once. The controller says in the status that a map
// isn't as declared, and that it is again.
func TestDriftIsTheAgentsToTell(t *testing.T) {
	recorder := events.NewFakeRecorder(10)
	m := newMap("foo", 8)
	m.Status.Conditions = []metav1.Condition{
		{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady},
		{Type: v1alpha1.ConditionDrifted, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonInSync},
	}
	drifted := v1alpha1.BPFMapStatus{Conditions: []metav1.Condition{
		{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonDrifted, Message: "on n: 1 entry changed"},
		{Type: v1alpha1.ConditionDrifted, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonDrifted, Message: "on n: 1 entry changed"},
	}}
	r := &reconciler{events: recorder}
	r.announce(m, drifted)
	if got := drain(recorder); len(got) > 0 {
		t.Errorf("%v", got)
	}
	failed := drifted.DeepCopy()
	failed.Conditions[0].Reason = v1alpha1.ReasonNodesFailed
	r.announce(m, *failed)
	if got := strings.Join(drain(recorder), "\n"); got != "Warning NodesFailed on n: 1 entry changed" {
		t.Errorf("%q", got)
	}
}

// TestAnnounceComplete tells of the end of a rollout once all nodes hold the revision.
func TestAnnounceComplete(t *testing.T) {
	status := func(current, newest string, desired int32) v1alpha1.BPFMapStatus {
		return v1alpha1.BPFMapStatus{CurrentRevision: current, UpdateRevision: newest, Nodes: v1alpha1.NodeCounts{Desired: desired}}
	}
	for _, c := range []struct {
		before, after v1alpha1.BPFMapStatus
		want          string
	}{
		{status("", "", 0), status("", "foo-1", 3), ""},
		{status("", "foo-1", 3), status("foo-1", "foo-1", 3), "Normal RolloutComplete revision foo-1: rolled out to all 3 nodes"},
		{status("foo-1", "foo-1", 3), status("foo-1", "foo-2", 3), ""},
		{status("foo-1", "foo-2", 1), status("foo-2", "foo-2", 1), "Normal RolloutComplete revision foo-2: rolled out to 1 node"},
		{status("foo-2", "foo-2", 3), status("foo-2", "foo-2", 4), ""},
		{status("", "", 0), status("foo-1", "foo-1", 0), ""},
	} {
		recorder := events.NewFakeRecorder(10)
		m := newMap("foo", 8)
		m.Status = c.before
		(&reconciler{events: recorder}).announce(m, c.after)
		if got := strings.Join(drain(recorder), "\n"); got != c.want {
			t.Errorf("from %+v to %+v: %q, want %q", c.before, c.after, got, c.want)
		}
	}
}

func drain(r *events.FakeRecorder) (list []string) {
	for {
		select {
		case e := <-r.Events:
			list = append(list, e)
		default:
			return list
		}
	}
}

// TestEditUnderAnUndo: a map whose spec isn't used says so when people edit it.
func TestEditUnderAnUndo(t *testing.T) {
	g := newRig(t, interceptor.Funcs{}, newMap("foo", 8, "a"), newNode("n"))
	g.settle("foo")
	g.edit("foo", func(s *v1alpha1.BPFMapSpec) { s.Entries = entries("b") })
	g.settle("foo")
	g.told()
	count := func() (n int) {
		for _, e := range g.told() {
			if strings.HasPrefix(e, "Warning EntriesNotUsed ") && strings.Contains(e, "foo-1") {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		what string
		edit func(*v1alpha1.BPFMapSpec)
		told int
	}{
		{"the undo itself", func(s *v1alpha1.BPFMapSpec) { s.RollbackTo = "foo-1" }, 0},
		{"an edit under it", func(s *v1alpha1.BPFMapSpec) { s.Entries = entries("c") }, 1},
		{"another one", func(s *v1alpha1.BPFMapSpec) { s.Entries = entries("d") }, 1},
		{"its end", func(s *v1alpha1.BPFMapSpec) { s.RollbackTo = "" }, 0},
		{"an edit after it", func(s *v1alpha1.BPFMapSpec) { s.Entries = entries("e") }, 0},
	} {
		g.edit("foo", c.edit)
		g.settle("foo")
		if n := count(); n != c.told {
			t.Errorf("%s: told %d times, want %d", c.what, n, c.told)
		}
		wants := g.get("foo").Spec.RollbackTo != ""
		message := g.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
		if says := message == "contents of revision foo-1 (spec.rollbackTo); the entries of the spec are not used"; says != wants {
			t.Errorf("%s: Accepted says %q", c.what, message)
		}
	}
}
