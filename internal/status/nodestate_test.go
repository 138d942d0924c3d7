// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/liveness"
)

// TestNodeConditions makes Ready of what the agent says and of whether it is there.
func TestNodeConditions(t *testing.T) {
	condition := func(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(yesterday)}
	}
	host := condition(v1alpha1.ConditionHostReady, metav1.ConditionTrue, v1alpha1.ReasonNodeReady, "fine")
	ready := condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonNodeReady, "fine")
	broken := condition(v1alpha1.ConditionHostReady, metav1.ConditionFalse, v1alpha1.ReasonBPFFSMissing, "mount it")
	unknown := condition(v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonNodeStatusUnknown,
		"nothing is known of the node's maps: the Node isn't Ready (since 2026-03-01T12:00:00Z)")
	removed := condition(v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonOperatorRemoved, "gone")
	never := liveness.Liveness{State: liveness.AgentUnknown, Message: "the agent has no pod"}
	now := func(c metav1.Condition) metav1.Condition {
		c.LastTransitionTime = metav1.NewTime(today)
		return c
	}
	for _, c := range []struct {
		name   string
		before []metav1.Condition
		live   liveness.Liveness
		want   []metav1.Condition
	}{
		{"the agent hasn't reported", nil, liveness.Liveness{}, nil},
		{"it reports", []metav1.Condition{host}, liveness.Liveness{}, []metav1.Condition{host, now(ready)}},
		{"nothing new", []metav1.Condition{host, ready}, liveness.Liveness{}, []metav1.Condition{host, ready}},
		{"the host is broken", []metav1.Condition{broken, ready}, liveness.Liveness{},
			[]metav1.Condition{broken, now(condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonBPFFSMissing, "mount it"))}},
		{"the node is gone, since it was", []metav1.Condition{host, now(ready)}, nodeGone, []metav1.Condition{host, unknown}},
		{"it still is", []metav1.Condition{host, unknown}, nodeGone, []metav1.Condition{host, unknown}},
		{"it is back", []metav1.Condition{host, unknown}, liveness.Liveness{}, []metav1.Condition{host, now(ready)}},
		{"nobody knows since when", []metav1.Condition{host, ready}, never, []metav1.Condition{host,
			now(condition(v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonAgentStatusUnknown, "nothing is known of the node's maps: the agent has no pod"))}},
		{"the operator is installed again", []metav1.Condition{host, removed}, liveness.Liveness{}, []metav1.Condition{host, now(ready)}},
		{"an agent of before, which wrote Ready itself", []metav1.Condition{ready}, liveness.Liveness{}, []metav1.Condition{ready}},
	} {
		if diff := cmp.Diff(c.want, NodeConditions(c.before, c.live, today)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", c.name, diff)
		}
	}
}
