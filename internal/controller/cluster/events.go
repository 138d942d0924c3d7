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
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// The actions of events: what the controller was doing.
const (
	actionCompile   = "Compile"
	actionAggregate = "Aggregate"
	actionRollout   = "Rollout"
)

// reasonRevisionCreated is the reason of an event that is not a reason of a condition.
const reasonRevisionCreated = "RevisionCreated"

func (r *reconciler) announceRevision(m *v1alpha1.BPFMap, rev *v1alpha1.BPFMapRevision) {
	process.Emit(r.events, m.ObjectMeta, process.Event{
		Type: corev1.EventTypeNormal, Reason: reasonRevisionCreated, Action: actionCompile,
		Note: fmt.Sprintf("created revision %s with %s", rev.Name, text.Count(rev.Spec.EntryCount, "entry", "entries")),
	})
}

// announceRollout tells people that a rollout halted, went back, or came to its end.
func (r *reconciler) announceRollout(m *v1alpha1.BPFMap, rev *v1alpha1.BPFMapRevision, was, next v1alpha1.RolloutStatus) {
	if was.Phase == next.Phase {
		return
	}
	kind := corev1.EventTypeNormal
	switch rollout.Phase(next.Phase) {
	case rollout.Halted, rollout.RolledBack:
		kind = corev1.EventTypeWarning
	case rollout.Complete, rollout.Paused:
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
		to: metav1.ConditionFalse, reason: v1alpha1.ReasonNodesFailed, kind: corev1.EventTypeWarning, action: actionAggregate,
	})
	r.onTransition(m, before, after, v1alpha1.ConditionDrifted, transition{
		to: metav1.ConditionTrue, kind: corev1.EventTypeWarning, action: actionAggregate,
	})
}

// transition is a change of a condition that people should notice.
type transition struct {
	// from is the status before; empty for any other one.
	from metav1.ConditionStatus
	to   metav1.ConditionStatus
	// reason is the reason after; empty for any.
	reason string
	// perMessage makes another message at the same status count as a transition.
	perMessage   bool
	kind, action string
}

func (r *reconciler) onTransition(m *v1alpha1.BPFMap, before, after []metav1.Condition, name string, t transition) {
	was, is := meta.FindStatusCondition(before, name), meta.FindStatusCondition(after, name)
	if is == nil || !t.holds(*is) || (was == nil && t.from != "") || (was != nil && t.from != "" && was.Status != t.from) {
		return
	}
	if was != nil && t.holds(*was) && (!t.perMessage || was.Message == is.Message) {
		return
	}
	process.Emit(r.events, m.ObjectMeta, process.Event{Type: t.kind, Reason: is.Reason, Action: t.action, Note: is.Message})
}

func (t transition) holds(c metav1.Condition) bool {
	return c.Status == t.to && (t.reason == "" || c.Reason == t.reason)
}
