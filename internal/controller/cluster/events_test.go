// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

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
		{"the reason", condition(yes, "A", ""), condition(no, "B", ""), transition{to: no, reason: "B"}, true},
		{"another reason", condition(yes, "A", ""), condition(no, "C", ""), transition{to: no, reason: "B"}, false},
		{"to the reason", condition(no, "C", ""), condition(no, "B", ""), transition{to: no, reason: "B"}, true},
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

// TestAnnounceRollout tells of ends and halts, not of each step.
func TestAnnounceRollout(t *testing.T) {
	rev := &v1alpha1.BPFMapRevision{ObjectMeta: metav1.ObjectMeta{Name: "foo-2"}}
	for phase, want := range map[v1alpha1.RolloutPhase]string{
		"Halted": "Warning RolloutHalted", "RolledBack": "Warning RolloutRolledBack", "Complete": "Normal RolloutComplete",
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
