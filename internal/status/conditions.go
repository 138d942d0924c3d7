// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"fmt"
	"slices"

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
)

// conditions are Ready, Reconciling, Stalled, Accepted, Drifted and InUse, always all of them and in this
// order, SourcesFresh if sources are fetched, and MetricsServed if there is spec.metrics. As kstatus asks, Reconciling and Stalled are never True together.
func conditions(in Input, nodes []node, counts tally) []metav1.Condition {
	reconciling, stalled := progress(in, nodes, counts)
	wanted := []metav1.Condition{
		ready(in, nodes, counts), reconciling, stalled, accepted(in), drifted(nodes, counts), inUse(nodes, counts),
	}
	if len(in.Fetched) > 0 {
		wanted = append(wanted, sourcesFresh(in))
	}
	if in.Map.Spec.Metrics != nil {
		wanted = append(wanted, metricsServed(nodes, counts))
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

// ready says whether all nodes hold the newest revision: False if it is known of one that it doesn't, Unknown if
// nothing is known of one.
func ready(in Input, nodes []node, counts tally) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse}
	switch {
	case in.Rejected != nil:
		c.Reason, c.Message = v1alpha1.ReasonNotAccepted, in.Rejected.Message
	case in.outdated():
		c.Reason, c.Message = v1alpha1.ReasonReconcileFailed, in.Failure.Message
	case in.Held != "":
		c.Reason, c.Message = v1alpha1.ReasonProgressing, in.Held
	case in.Revision == nil:
		c.Reason, c.Message = v1alpha1.ReasonProgressing, summary(nodes, counts)
	default:
		c.Status, c.Reason, c.Message = in.held(nodes, counts)
		c.Message += in.instead("; ")
	}
	return c
}

// held is ready's status, reason and message of a spec that has a revision.
func (in *Input) held(nodes []node, counts tally) (status metav1.ConditionStatus, reason, message string) {
	told := in.told(nodes, counts)
	switch {
	case has(nodes, ClassStalled, ClassFailed) && in.phase() == phaseHalted:
		return metav1.ConditionFalse, telling(nodes), readyNodes(counts) + "; " + in.progress()
	case has(nodes, ClassStalled, ClassFailed):
		return metav1.ConditionFalse, telling(nodes), summary(nodes, counts)
	case in.Withheld != "":
		return metav1.ConditionFalse, v1alpha1.ReasonNoNodesSelected, in.Withheld
	case has(nodes, ClassPending):
		return metav1.ConditionFalse, cmp.Or(mostOf(nodes, ClassPending, node.waits), v1alpha1.ReasonProgressing), summary(nodes, counts) + in.stopped()
	case has(nodes, ClassDrifted):
		return metav1.ConditionFalse, v1alpha1.ReasonDrifted, summary(nodes, counts) + in.stopped()
	case behind(nodes) && in.phase() != phasePaused:
		return metav1.ConditionFalse, reasonOf(in.phase()), told
	case behind(nodes) && in.paused():
		return metav1.ConditionFalse, v1alpha1.ReasonPaused, told
	case has(nodes, ClassUnknown):
		return metav1.ConditionUnknown, v1alpha1.ReasonNodesUnknown, summary(nodes, counts)
	case behind(nodes):
		return metav1.ConditionTrue, v1alpha1.ReasonPartitionReached, told
	case counts.Desired == 0:
		return metav1.ConditionTrue, v1alpha1.ReasonNoNodesSelected, noNodes(counts)
	case in.Map.Spec.RollbackTo != "":
		return metav1.ConditionTrue, v1alpha1.ReasonEarlierRevision, summary(nodes, counts)
	}
	return metav1.ConditionTrue, v1alpha1.ReasonReady, summary(nodes, counts)
}

// told is what the rollout says of itself, and the nodes that nothing is known of. If it halted, those that matter are
// named.
func (in *Input) told(nodes []node, counts tally) string {
	if in.phase() == phaseHalted {
		return in.progress()
	}
	return in.progress() + unknown(nodes, counts)
}

// stopped says what keeps a rollout from going on; empty if nothing does.
func (in *Input) stopped() string {
	switch in.phase() {
	case phasePaused, phaseHalted, phaseRolledBack:
		return "; " + in.progress()
	}
	return ""
}

// reasonOf is the reason of a map whose newest revision some nodes don't have yet.
func reasonOf(phase v1alpha1.RolloutPhase) string {
	switch phase {
	case phaseHalted:
		return v1alpha1.ReasonHalted
	case phaseRolledBack:
		return v1alpha1.ReasonRolledBack
	}
	return v1alpha1.ReasonProgressing
}

func noNodes(counts tally) string {
	switch {
	case counts.WithoutAgent == 1:
		return "no agent is to run on the one node that nodeSelector matches; " + counts.leftOut
	case counts.WithoutAgent > 1:
		return fmt.Sprintf("no agent is to run on any of the %d nodes that nodeSelector matches; %s", counts.WithoutAgent, counts.leftOut)
	}
	return "no node matches nodeSelector"
}

// instead says that the nodes get an earlier revision's contents; empty if they get the spec's.
func (in *Input) instead(before string) string {
	if in.Map.Spec.RollbackTo == "" {
		return ""
	}
	return before + "contents of revision " + in.Map.Spec.RollbackTo + " (spec.rollbackTo); the entries of the spec are not used"
}

// progress decides Reconciling and Stalled together. A failure that agents or the controller retry is work in
// progress; a stalled node stalls the map only once no other node has work left.
func progress(in Input, nodes []node, counts tally) (reconciling, stalled metav1.Condition) {
	reconciling = metav1.Condition{
		Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionFalse,
		Reason: v1alpha1.ReasonReconcileSucceeded, Message: "reconciliation complete",
	}
	stalled = metav1.Condition{
		Type: v1alpha1.ConditionStalled, Status: metav1.ConditionFalse,
		Reason: v1alpha1.ReasonNotStalled, Message: "no manual action required",
	}
	works := func(reason, message string) {
		reconciling.Status, reconciling.Reason, reconciling.Message = metav1.ConditionTrue, reason, message
	}
	stalls := func(reason, message, reconciles string) {
		stalled.Status, stalled.Reason, stalled.Message = metav1.ConditionTrue, reason, message
		reconciling.Message = reconciles
	}
	told := in.told(nodes, counts)
	switch {
	case in.Rejected != nil && in.Failure != nil:
		stalls(v1alpha1.ReasonNotAccepted, in.Rejected.Message, "the spec was not accepted; trying again: "+in.Failure.Message)
	case in.Rejected != nil:
		stalls(v1alpha1.ReasonNotAccepted, in.Rejected.Message, "the spec was not accepted")
	case in.Failure != nil:
		works(v1alpha1.ReasonReconcileFailed, "trying again: "+in.Failure.Message)
	case in.Held != "":
		works(v1alpha1.ReasonProgressing, in.Held)
	case in.Withheld != "" && !has(nodes, ClassPending, ClassFailed):
		stalls(v1alpha1.ReasonNoNodesSelected, in.Withheld, "nodes keep the map")
	case in.Revision == nil || has(nodes, ClassPending, ClassFailed):
		works(v1alpha1.ReasonProgressing, summary(nodes, counts)+in.stopped())
		if in.phase() == phaseHalted {
			works(v1alpha1.ReasonHalted, told)
		}
	case in.phase() == phaseRolledBack:
		stalls(v1alpha1.ReasonRolledBack, in.progress(), "the newest revision was rolled back")
	case has(nodes, ClassStalled):
		stalls(v1alpha1.ReasonNodesStalled, summary(only(nodes, ClassStalled), counts), "the remaining nodes are stalled")
	case in.Leaving != "":
		works(v1alpha1.ReasonProgressing, in.Leaving)
	case behind(nodes) && in.phase() != phasePaused:
		works(reasonOf(in.phase()), told)
	case behind(nodes) && in.paused():
		works(v1alpha1.ReasonPaused, told)
	case has(nodes, ClassUnknown):
		works(v1alpha1.ReasonNodesUnknown, summary(nodes, counts))
	case behind(nodes):
		reconciling.Reason, reconciling.Message = v1alpha1.ReasonPartitionReached, in.progress()
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
	case in.Pending != "":
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, v1alpha1.ReasonFetchPending, in.Pending
		if in.Revision != nil {
			c.Message += " (the nodes keep revision " + in.Revision.Name + ")"
		}
	case in.Held != "":
		c.Message += "; " + in.Held
	case in.Map.Spec.RollbackTo != "":
		c.Message = in.instead("")
	default:
		if stale := in.stale(); stale != "" {
			c.Message += "; " + stale
		}
	}
	return c
}

func drifted(nodes []node, counts tally) metav1.Condition {
	c := metav1.Condition{
		Type: v1alpha1.ConditionDrifted, Status: metav1.ConditionFalse,
		Reason: v1alpha1.ReasonInSync, Message: "no node reports drift",
	}
	switch {
	case has(nodes, ClassDrifted):
		c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonDrifted
		c.Message = list(only(nodes, ClassDrifted), int(counts.Desired))
	case counts.Desired > 0 && counts.Updated == 0:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, v1alpha1.ReasonNotYetReported, "no node holds the newest revision yet"
	}
	return c
}

// telling is the reason that tells people most of the nodes that fail.
func telling(nodes []node) string {
	known := func(n node) bool { return n.reason() != "" }
	own := func(n node) bool { return known(n) && n.reason() != v1alpha1.NodeReasonNodeNotReady }
	return cmp.Or(mostOf(nodes, ClassStalled, own), mostOf(nodes, ClassFailed, own),
		mostOf(nodes, ClassStalled, known), mostOf(nodes, ClassFailed, known), v1alpha1.ReasonNodesFailed)
}

// mostOf is the reason of most nodes of a class that fulfil a condition, the first one by name of those that are
// equal; empty if there is no such node.
func mostOf(nodes []node, c Class, fulfils func(node) bool) string {
	counts := map[string]int{}
	for _, n := range nodes {
		if n.class == c && fulfils(n) {
			counts[n.reason()]++
		}
	}
	var most string
	for reason, n := range counts {
		if n > counts[most] || (n == counts[most] && reason < most) {
			most = reason
		}
	}
	return most
}

// behind says that some node is as it is to be, and isn't to have the newest revision yet.
func behind(nodes []node) bool {
	return slices.ContainsFunc(nodes, func(n node) bool { return n.class == ClassReady && !n.updated })
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
