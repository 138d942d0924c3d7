// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
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
	var result []metav1.Condition
	for _, c := range wanted {
		c.ObservedGeneration = in.Map.Generation
		c.Message = truncate(c.Message, maxConditionMessage)
		c.LastTransitionTime = metav1.NewTime(in.Now).Rfc3339Copy()
		if old := meta.FindStatusCondition(in.Map.Status.Conditions, c.Type); old != nil && old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
		result = append(result, c)
	}
	return result
}

func ready(in Input, nodes []node, counts v1alpha1.NodeCounts) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse}
	c.Message = summary(nodes, counts)
	switch {
	case in.Rejected != nil:
		c.Reason, c.Message = v1alpha1.ReasonNotAccepted, in.Rejected.Message
	case has(nodes, classStalled, classFailed):
		c.Reason = v1alpha1.ReasonNodesFailed
	case in.Revision == nil || has(nodes, classPending):
		c.Reason = v1alpha1.ReasonProgressing
	case has(nodes, classDrifted):
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

// progress decides Reconciling and Stalled together. A failure that agents retry is work going on; a
// stalled node stalls the map only once no other node has work left.
func progress(in Input, nodes []node, counts v1alpha1.NodeCounts) (reconciling, stalled metav1.Condition) {
	reconciling = metav1.Condition{
		Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionFalse,
		Reason: v1alpha1.ReasonReconcileSucceeded, Message: "nothing is left to do",
	}
	stalled = metav1.Condition{
		Type: v1alpha1.ConditionStalled, Status: metav1.ConditionFalse,
		Reason: v1alpha1.ReasonNotStalled, Message: "nothing waits for people",
	}
	switch {
	case in.Rejected != nil:
		reconciling.Message = "the spec was not accepted"
		stalled.Status, stalled.Reason, stalled.Message = metav1.ConditionTrue, v1alpha1.ReasonNotAccepted, in.Rejected.Message
	case in.Revision == nil || has(nodes, classPending, classFailed):
		reconciling.Status, reconciling.Reason = metav1.ConditionTrue, v1alpha1.ReasonProgressing
		reconciling.Message = summary(nodes, counts)
	case !in.rolledOut() && in.Rollout.Phase == phaseRolledBack:
		reconciling.Message = "the newest revision was rolled back"
		stalled.Status, stalled.Reason, stalled.Message = metav1.ConditionTrue, v1alpha1.ReasonRolledBack, in.Rollout.Message
	case !in.rolledOut() && !has(nodes, classStalled):
		reconciling.Status, reconciling.Reason = metav1.ConditionTrue, v1alpha1.ReasonProgressing
		reconciling.Message = in.Rollout.Message
	case has(nodes, classStalled):
		reconciling.Message = "the remaining nodes are stalled"
		stalled.Status, stalled.Reason = metav1.ConditionTrue, v1alpha1.ReasonNodesStalled
		stalled.Message = summary(only(nodes, classStalled), counts)
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
	}
	return c
}

func drifted(nodes []node, counts v1alpha1.NodeCounts) metav1.Condition {
	c := metav1.Condition{
		Type: v1alpha1.ConditionDrifted, Status: metav1.ConditionFalse,
		Reason: v1alpha1.ReasonInSync, Message: "no node reports drift",
	}
	switch {
	case has(nodes, classDrifted):
		c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonDrifted
		c.Message = list(only(nodes, classDrifted))
	case counts.Desired > 0 && counts.Updated == 0:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, v1alpha1.ReasonNotYetReported, "no node holds the newest revision yet"
	}
	return c
}

// summary is "2 of 3 nodes ready", followed by the worst of the nodes that aren't.
func summary(nodes []node, counts v1alpha1.NodeCounts) string {
	s := fmt.Sprintf("%d of %d nodes ready", counts.Ready, counts.Desired)
	for worst := classStalled; worst < classReady; worst++ {
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
		parts = append(parts, n.name+": "+truncate(n.message(), maxNamedMessage))
	}
	return strings.Join(parts, "; ")
}

func only(nodes []node, c class) []node {
	var result []node
	for _, n := range nodes {
		if n.class == c {
			result = append(result, n)
		}
	}
	return result
}

func has(nodes []node, classes ...class) bool {
	return slices.ContainsFunc(nodes, func(n node) bool { return slices.Contains(classes, n.class) })
}

// truncate cuts s to at most n bytes without splitting a character, and marks the cut.
func truncate(s string, n int) string {
	const mark = "…"
	if len(s) <= n {
		return s
	}
	n -= len(mark)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + mark
}
