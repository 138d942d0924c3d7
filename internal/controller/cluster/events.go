// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// The actions of events: what the controller was doing.
const (
	actionCompile   = "Compile"
	actionAggregate = "Aggregate"
	actionRollout   = "Rollout"
	actionFetch     = "Fetch"
)

// The reasons of events that are not reasons of a condition.
const (
	reasonRevisionCreated = "RevisionCreated"
	// reasonEntriesNotUsed: the spec was edited while spec.rollbackTo names an earlier revision.
	reasonEntriesNotUsed  = "EntriesNotUsed"
	reasonRolloutComplete = "RolloutComplete"
	// reasonSightingsLost: somebody deleted or altered what was stored of when sources held their keys first.
	reasonSightingsLost = "SightingsLost"
)

func (r *reconciler) announceRevision(m *v1alpha1.BPFMap, rev *v1alpha1.BPFMapRevision) {
	process.Emit(r.events, m.ObjectMeta, process.Event{
		Type: corev1.EventTypeNormal, Reason: reasonRevisionCreated, Action: actionCompile,
		Note: fmt.Sprintf("created revision %s with %s", rev.Name, text.Count(rev.Spec.EntryCount, "entry", "entries")),
	})
}

// announceRollout tells people that a rollout halted, went back, or was held. That it came to its end is told when
// the nodes have confirmed it.
func (r *reconciler) announceRollout(m *v1alpha1.BPFMap, rev *v1alpha1.BPFMapRevision, was, next v1alpha1.RolloutStatus) {
	if was.Phase == next.Phase {
		return
	}
	kind := corev1.EventTypeNormal
	switch rollout.Phase(next.Phase) {
	case rollout.Halted, rollout.RolledBack:
		kind = corev1.EventTypeWarning
	case rollout.Paused:
	default:
		return
	}
	process.Emit(r.events, m.ObjectMeta, process.Event{
		Type: kind, Reason: "Rollout" + string(next.Phase), Action: actionRollout, Note: "revision " + rev.Name + ": " + next.Message,
	})
}

// announce tells people about transitions from m's status to the next one.
func (r *reconciler) announce(m *v1alpha1.BPFMap, next v1alpha1.BPFMapStatus) {
	before, after := m.Status.Conditions, next.Conditions
	r.onTransition(m, before, after, v1alpha1.ConditionAccepted, transition{
		to: metav1.ConditionFalse, kind: corev1.EventTypeWarning, action: actionCompile, perMessage: true,
	})
	r.onTransition(m, before, after, v1alpha1.ConditionAccepted, transition{
		from: metav1.ConditionFalse, to: metav1.ConditionTrue, kind: corev1.EventTypeNormal, action: actionCompile,
	})
	r.onTransition(m, before, after, v1alpha1.ConditionReady, transition{
		to: metav1.ConditionTrue, kind: corev1.EventTypeNormal, action: actionAggregate,
	})
	r.onTransition(m, before, after, v1alpha1.ConditionReady, transition{
		to: metav1.ConditionFalse, reasons: needsPeople, kind: corev1.EventTypeWarning, action: actionAggregate,
	})
	r.onTransition(m, before, after, v1alpha1.ConditionReady, transition{
		to: metav1.ConditionUnknown, kind: corev1.EventTypeWarning, action: actionAggregate,
	})
	r.onTransition(m, before, after, v1alpha1.ConditionSourcesFresh, transition{
		to: metav1.ConditionFalse, kind: corev1.EventTypeWarning, action: actionFetch,
	})
	r.onTransition(m, before, after, v1alpha1.ConditionSourcesFresh, transition{
		from: metav1.ConditionFalse, to: metav1.ConditionTrue, kind: corev1.EventTypeNormal, action: actionFetch,
	})
	r.announceComplete(m, next)
	r.announceNotUsed(m, next)
}

// needsPeople are the reasons of Ready that no other event tells: what nodes report, and maps that nodes keep. Drift is
// told by the agents, which know what differs.
func needsPeople(reason string) bool {
	return status.OfNodes(reason) || reason == v1alpha1.ReasonNoNodesSelected
}

// announceComplete tells people that all nodes hold a revision which didn't before.
func (r *reconciler) announceComplete(m *v1alpha1.BPFMap, next v1alpha1.BPFMapStatus) {
	n := int(next.Nodes.Desired)
	if next.CurrentRevision == m.Status.CurrentRevision || next.CurrentRevision != next.UpdateRevision || n == 0 {
		return
	}
	to := text.Count(n, "node", "nodes")
	if n > 1 {
		to = "all " + to
	}
	process.Emit(r.events, m.ObjectMeta, process.Event{
		Type: corev1.EventTypeNormal, Reason: reasonRolloutComplete, Action: actionRollout, Note: "revision " + next.CurrentRevision + ": rolled out to " + to,
	})
}

// announceNotUsed tells people that an edit of the spec, but that of rollbackTo itself, doesn't reach the nodes.
func (r *reconciler) announceNotUsed(m *v1alpha1.BPFMap, next v1alpha1.BPFMapStatus) {
	was := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionAccepted)
	is := meta.FindStatusCondition(next.Conditions, v1alpha1.ConditionAccepted)
	if m.Spec.RollbackTo == "" || was == nil || is == nil || is.Status != metav1.ConditionTrue || was.Message != is.Message ||
		m.Status.ObservedGeneration == next.ObservedGeneration {
		return
	}
	process.Emit(r.events, m.ObjectMeta, process.Event{
		Type: corev1.EventTypeWarning, Reason: reasonEntriesNotUsed, Action: actionCompile,
		Note: "the spec was edited, and the nodes keep the contents of revision " + m.Spec.RollbackTo + ": remove spec.rollbackTo to have those of the spec",
	})
}

// transition is a change of a condition that people should notice.
type transition struct {
	// from is the status before; empty for any other one.
	from metav1.ConditionStatus
	to   metav1.ConditionStatus
	// reasons are those after, each of which is a transition of its own; nil for any, which are one.
	reasons func(string) bool
	// perMessage makes another message at the same status count as a transition.
	perMessage   bool
	kind, action string
}

func (r *reconciler) onTransition(m *v1alpha1.BPFMap, before, after []metav1.Condition, name string, t transition) {
	was, is := meta.FindStatusCondition(before, name), meta.FindStatusCondition(after, name)
	if is == nil || !t.holds(*is) || (was == nil && t.from != "") || (was != nil && t.from != "" && was.Status != t.from) {
		return
	}
	if was != nil && t.holds(*was) && (!t.perMessage || was.Message == is.Message) && (t.reasons == nil || was.Reason == is.Reason) {
		return
	}
	process.Emit(r.events, m.ObjectMeta, process.Event{Type: t.kind, Reason: is.Reason, Action: t.action, Note: is.Message})
}

func (t transition) holds(c metav1.Condition) bool {
	return c.Status == t.to && (t.reasons == nil || t.reasons(c.Reason))
}
