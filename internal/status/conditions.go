// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

const (
	// maxNodeMessage is the bound of NodeMapStatus.Message and NodeMap.Message in bytes.
	maxNodeMessage = 1024
	// maxConditionMessage is metav1.Condition's bound in bytes.
	maxConditionMessage = 32768
	// maxNamed bounds how many nodes a condition's message names.
	maxNamed = 3
	// maxNamedMessage bounds, in bytes, what a condition's message quotes of one node.
	maxNamedMessage = 256
)

// conditions are Ready, Reconciling, Stalled, Accepted and Drifted, always all of them and in this
// order. As kstatus asks, Reconciling and Stalled are never True together.
func conditions(in Input, nodes []node, counts v1alpha1.NodeCounts) []metav1.Condition {
	reconciling, stalled := progress(in, nodes, counts)
	wanted := []metav1.Condition{
		ready(in, nodes, counts), reconciling, stalled, accepted(in), drifted(nodes, counts),
	}
	result := make([]metav1.Condition, 0, len(wanted))
	for _, c := range wanted {
		c.ObservedGeneration = in.Map.Generation
		c.Message = text.Truncate(c.Message, maxConditionMessage)
		c.LastTransitionTime = metav1.NewTime(in.Now).Rfc3339Copy()
		var one []metav1.Condition
		if old := meta.FindStatusCondition(in.Map.Status.Conditions, c.Type); old != nil {
			one = append(one, *old)
		}
		meta.SetStatusCondition(&one, c)
		result = append(result, one...)
	}
	return result
}

func ready(in Input, nodes []node, counts v1alpha1.NodeCounts) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse}
	c.Message = summary(nodes, counts)
	switch {
	case in.Rejected != nil:
		c.Reason, c.Message = v1alpha1.ReasonNotAccepted, in.Rejected.Message
	case in.outdated():
		c.Reason, c.Message = v1alpha1.ReasonReconcileFailed, in.Failure.Message
	case has(nodes, ClassStalled, ClassFailed):
		c.Reason = v1alpha1.ReasonNodesFailed
	case in.Revision == nil || has(nodes, ClassPending):
		c.Reason = v1alpha1.ReasonProgressing
	case has(nodes, ClassDrifted):
		c.Reason = v1alpha1.ReasonDrifted
	case !in.rolledOut():
		c.Reason, c.Message = v1alpha1.ReasonProgressing, in.Rollout.Message
		if in.Rollout.Phase == phaseRolledBack {
			c.Reason = v1alpha1.ReasonRolledBack
		}
	case counts.Desired == 0:
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, v1alpha1.ReasonNoNodesSelected, "no node matches nodeSelector"
	default:
		c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonReady
	}
	return c
}

// progress decides Reconciling and Stalled together. A failure that agents or the controller retry is work in
// progress; a stalled node stalls the map only once no other node has work left.
func progress(in Input, nodes []node, counts v1alpha1.NodeCounts) (reconciling, stalled metav1.Condition) {
	reconciling = metav1.Condition{
		Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionFalse,
		Reason: v1alpha1.ReasonReconcileSucceeded, Message: "reconciliation complete",
	}
	stalled = metav1.Condition{
		Type: v1alpha1.ConditionStalled, Status: metav1.ConditionFalse,
		Reason: v1alpha1.ReasonNotStalled, Message: "no manual action required",
	}
	switch {
	case in.Rejected != nil:
		reconciling.Message = "the spec was not accepted"
		if in.Failure != nil {
			reconciling.Message += "; trying again: " + in.Failure.Message
		}
		stalled.Status, stalled.Reason, stalled.Message = metav1.ConditionTrue, v1alpha1.ReasonNotAccepted, in.Rejected.Message
	case in.Failure != nil:
		reconciling.Status, reconciling.Reason = metav1.ConditionTrue, v1alpha1.ReasonReconcileFailed
		reconciling.Message = "trying again: " + in.Failure.Message
	case in.Revision == nil || has(nodes, ClassPending, ClassFailed):
		reconciling.Status, reconciling.Reason = metav1.ConditionTrue, v1alpha1.ReasonProgressing
		reconciling.Message = summary(nodes, counts)
	case !in.rolledOut() && in.Rollout.Phase == phaseRolledBack:
		reconciling.Message = "the newest revision was rolled back"
		stalled.Status, stalled.Reason, stalled.Message = metav1.ConditionTrue, v1alpha1.ReasonRolledBack, in.Rollout.Message
	case !in.rolledOut() && !has(nodes, ClassStalled):
		reconciling.Status, reconciling.Reason = metav1.ConditionTrue, v1alpha1.ReasonProgressing
		reconciling.Message = in.Rollout.Message
	case has(nodes, ClassStalled):
		reconciling.Message = "the remaining nodes are stalled"
		stalled.Status, stalled.Reason = metav1.ConditionTrue, v1alpha1.ReasonNodesStalled
		stalled.Message = summary(only(nodes, ClassStalled), counts)
	}
	return reconciling, stalled
}

func accepted(in Input) metav1.Condition {
	c := metav1.Condition{
		Type: v1alpha1.ConditionAccepted, Status: metav1.ConditionTrue,
		Reason: v1alpha1.ReasonAccepted, Message: "the spec compiled",
	}
	switch {
	case in.Rejected != nil && in.Revision != nil:
		c.Status, c.Reason = metav1.ConditionFalse, in.Rejected.Reason
		c.Message = in.Rejected.Message + " (the nodes keep revision " + in.Revision.Name + ")"
	case in.Rejected != nil:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, in.Rejected.Reason, in.Rejected.Message
	case in.outdated():
		c.Status, c.Reason = metav1.ConditionUnknown, v1alpha1.ReasonReconcileFailed
		c.Message = "not known yet: " + in.Failure.Message
	}
	return c
}

func drifted(nodes []node, counts v1alpha1.NodeCounts) metav1.Condition {
	c := metav1.Condition{
		Type: v1alpha1.ConditionDrifted, Status: metav1.ConditionFalse,
		Reason: v1alpha1.ReasonInSync, Message: "no node reports drift",
	}
	switch {
	case has(nodes, ClassDrifted):
		c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonDrifted
		c.Message = list(only(nodes, ClassDrifted))
	case counts.Desired > 0 && counts.Updated == 0:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, v1alpha1.ReasonNotYetReported, "no node holds the newest revision yet"
	}
	return c
}

// summary is "2 of 3 nodes ready", followed by the worst of the nodes that aren't.
func summary(nodes []node, counts v1alpha1.NodeCounts) string {
	s := fmt.Sprintf("%d of %d nodes ready", counts.Ready, counts.Desired)
	for worst := ClassStalled; worst < ClassReady; worst++ {
		if has(nodes, worst) {
			return s + "; " + list(only(nodes, worst))
		}
	}
	return s
}

// list is "node-a: message; node-b: message; and 7 more".
func list(nodes []node) string {
	var parts []string
	for i, n := range nodes {
		if i == maxNamed {
			parts = append(parts, fmt.Sprintf("and %d more", len(nodes)-i))
			break
		}
		parts = append(parts, n.name+": "+text.Truncate(n.message(), maxNamedMessage))
	}
	return strings.Join(parts, "; ")
}

func only(nodes []node, c Class) []node {
	var result []node
	for _, n := range nodes {
		if n.class == c {
			result = append(result, n)
		}
	}
	return result
}

func has(nodes []node, classes ...Class) bool {
	return slices.ContainsFunc(nodes, func(n node) bool { return slices.Contains(classes, n.class) })
}
