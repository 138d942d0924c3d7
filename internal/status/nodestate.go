// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/liveness"
)

// NodeConditions are the conditions of a BPFNodeState with the controller's own one, Ready, brought up to date: what
// the agent says of its host while the node is alive, else Unknown. The result shares no memory with conditions.
func NodeConditions(conditions []metav1.Condition, live liveness.Liveness, now time.Time) []metav1.Condition {
	next := slices.Clone(conditions)
	said := meta.FindStatusCondition(conditions, v1alpha1.ConditionHostReady)
	switch {
	case live.State != liveness.Alive:
		meta.SetStatusCondition(&next, unknownNode(live, now))
	case said != nil:
		c := *said
		c.Type = v1alpha1.ConditionReady
		c.LastTransitionTime = metav1.NewTime(now).Rfc3339Copy()
		meta.SetStatusCondition(&next, c)
	default: // the agent hasn't reported yet
	}
	return next
}

// unknownNode is Unknown since when the node was last alive.
func unknownNode(live liveness.Liveness, now time.Time) metav1.Condition {
	c := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionUnknown, Reason: unknownReason(live),
		Message: "nothing is known of the node's maps: " + live.Message + since(live.Since),
	}
	if live.Since.IsZero() {
		live.Since = now
	}
	c.LastTransitionTime = metav1.NewTime(live.Since).Rfc3339Copy()
	return c
}

func unknownReason(live liveness.Liveness) string {
	if live.State == liveness.NodeUnknown {
		return v1alpha1.ReasonNodeStatusUnknown
	}
	return v1alpha1.ReasonAgentStatusUnknown
}

// since is " (since 2026-11-26T08:00:00Z)"; empty if the time isn't known.
func since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " (since " + t.UTC().Format(time.RFC3339) + ")"
}
