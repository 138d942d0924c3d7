// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/advice"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/overview"
	"github.com/bpfmap-io/bpfmap-operator/internal/liveness"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// OfMap says why the map isn't Ready, or that it is and what is remarkable all the same.
func OfMap(e *Evidence) Answer {
	a := Answer{Missing: e.Missing}
	name := e.Map.Namespace + "/" + e.Map.Name
	ready := meta.FindStatusCondition(e.Map.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case ready == nil:
		a.Verdict = "Of " + name + " nothing is known yet."
	case ready.Status == metav1.ConditionTrue:
		a.Verdict = name + " is Ready (" + ready.Reason + "): " + ready.Message + "."
	case ready.Status == metav1.ConditionUnknown:
		a.Verdict = "It isn't known whether " + name + " is Ready (" + ready.Reason + ")."
	default:
		a.Verdict = name + " isn't Ready (" + ready.Reason + ")."
	}
	if ready != nil && e.Map.Status.ObservedGeneration < e.Map.Generation {
		a.Verdict = "Of the newest spec of " + name + " nothing is known yet. Of the one before: " + a.Verdict
	}
	e.unseen(&a)
	e.refused(&a)
	e.rolledBackTo(&a)
	e.groups(&a)
	e.rolling(&a)
	e.selection(&a)
	e.conditions(&a, ready)
	if len(a.Causes) == 0 && ready != nil && ready.Status != metav1.ConditionTrue {
		a.add("The controller says: "+ready.Message+".", condition(ready))
		a.advise(advice.Map, ready.Reason)
	}
	return a
}

func condition(c *metav1.Condition) string {
	return fmt.Sprintf("condition %s=%s (%s): %s", c.Type, c.Status, c.Reason, c.Message)
}

// unseen is that the controller hasn't looked at the newest spec, and why.
func (e *Evidence) unseen(a *Answer) {
	m := e.Map
	if m.Status.ObservedGeneration >= m.Generation && len(m.Status.Conditions) > 0 {
		return
	}
	a.add("The controller hasn't looked at the newest spec yet.", fmt.Sprintf("metadata.generation %d, status.observedGeneration %d", m.Generation, m.Status.ObservedGeneration))
	if e.Pods == nil {
		return
	}
	controllers := 0
	for i := range e.Pods {
		p := &e.Pods[i]
		if p.Labels[componentLabel] != controllerComponent {
			continue
		}
		controllers++
		if !liveness.IsReady(p) {
			a.add("A pod of the controller isn't Ready.", podSeen(p))
		}
	}
	switch controllers {
	case 0:
		a.add("There is no pod of the controller.", "no pod has the label "+componentLabel+"="+controllerComponent)
		a.do("install the operator, or look at its Deployment: `kubectl get deployments -A -l " + componentLabel + "=" + controllerComponent + "`")
	default:
		a.do("wait some seconds; if it stays, read the log of the controller: `kubectl logs -n NAMESPACE -l " + componentLabel + "=" + controllerComponent + "`")
	}
}

// refused is that the spec isn't accepted, or not decided upon yet.
func (e *Evidence) refused(a *Answer) {
	c := meta.FindStatusCondition(e.Map.Status.Conditions, v1alpha1.ConditionAccepted)
	if c == nil || c.Status == metav1.ConditionTrue {
		return
	}
	means := "The spec isn't accepted"
	if c.Status == metav1.ConditionUnknown {
		means = "It isn't known yet whether the spec can be accepted"
	}
	if found, ok := advice.For(advice.Map, c.Reason); ok {
		means += ": " + plain(found.Means)
	}
	a.add(means+".", condition(c))
	for i := range e.Map.Status.Sources {
		s := &e.Map.Status.Sources[i]
		if s.Message != "" {
			a.add(fmt.Sprintf("The newest contents of source %d (%s) are not used%s.", s.Index, s.Name, e.since(s.RefusedSince)), "status.sources: "+s.Message)
		}
	}
	a.advise(advice.Map, c.Reason)
}

// rolledBackTo is that the spec names an earlier revision.
func (e *Evidence) rolledBackTo(a *Answer) {
	if to := e.Map.Spec.RollbackTo; to != "" {
		a.add("The nodes are to have the contents of the earlier revision "+to+": edits of the entries and changes of sources have no effect.", "spec.rollbackTo: "+to)
		a.advise(advice.Map, v1alpha1.ReasonEarlierRevision)
	}
}

// groups are the nodes that aren't as they are to be, those that say the same together.
func (e *Evidence) groups(a *Answer) {
	o := overview.Of(e.Map, e.States)
	for i := range o.Groups {
		g := &o.Groups[i]
		if g.State == string(v1alpha1.NodeMapReady) && g.Message == "" {
			continue
		}
		where, scope := on(g.Nodes, int(e.Map.Status.Nodes.Desired)), advice.Node
		if g.State == overview.Unknown {
			scope = advice.NodeState
		}
		means := g.Reason
		if found, ok := advice.For(scope, g.Reason); ok {
			means = plain(found.Means)
		}
		seen := fmt.Sprintf("status.nodeStates: %s %s", g.State, g.Reason)
		if len(g.Revisions) > 0 {
			seen = fmt.Sprintf("BPFNodeState: %s %s, revision %s", g.State, g.Reason, strings.Join(g.Revisions, ", "))
		}
		if g.Message != "" {
			seen += ": " + g.Message
		}
		told := len(a.Causes)
		if scope == advice.NodeState && len(g.Nodes) <= maxNamed {
			for _, name := range g.Nodes {
				e.alive(a, name)
			}
		}
		if len(a.Causes) == told { // nothing more is known of the nodes
			a.add(capital(where)+": "+means+".", seen)
		}
		a.advise(scope, g.Reason)
	}
	if o.Unlisted > 0 {
		a.Missing = append(a.Missing, text.Count(o.Unlisted, "node", "nodes")+" of which the BPFMap's status doesn't tell")
	}
}

// rolling is where the rollout is.
func (e *Evidence) rolling(a *Answer) {
	r := e.Map.Status.Rollout
	if r == nil || r.Phase == "" || r.Phase == "Complete" {
		return
	}
	var sentence string
	switch r.Phase {
	case "Paused":
		sentence = "The rollout of revision " + r.Revision + " is held"
	case "Halted":
		sentence = "The rollout of revision " + r.Revision + " halted: no further node takes it"
	case "RolledBack":
		sentence = "Revision " + r.Revision + " was taken back from all nodes, and only a new revision continues"
	default:
		sentence = "Revision " + r.Revision + " is on its way to the nodes"
	}
	if found, ok := advice.For(advice.Rollout, r.Reason); ok {
		sentence += ": " + plain(found.Means)
	}
	seen := []string{fmt.Sprintf("status.rollout: %s (%s): %s", r.Phase, r.Reason, r.Message)}
	if n := len(r.Batches); n > 0 && !r.Batches[n-1].Time.IsZero() {
		seen = append(seen, fmt.Sprintf("the last batch of nodes was told %s ago", overview.Age(&r.Batches[n-1].Time, e.Now)))
	}
	a.add(sentence+".", seen...)
	a.advise(advice.Rollout, r.Reason)
}

// selection is that no node is selected, or some have no agent.
func (e *Evidence) selection(a *Answer) {
	n := e.Map.Status.Nodes
	selector := metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: e.Map.Spec.NodeSelector})
	switch {
	case len(e.Map.Status.Conditions) == 0:
	case n.Desired == 0 && n.WithoutAgent > 0:
		a.add("No agent is to run on "+text.Count(int(n.WithoutAgent), "node", "nodes")+" that the map selects.", fmt.Sprintf("status.nodes.withoutAgent: %d", n.WithoutAgent))
		a.advise(advice.Map, v1alpha1.ReasonNoNodesSelected)
	case n.Desired == 0:
		a.add("No node matches the map's nodeSelector.", "spec.nodeSelector: "+selector, e.nearest())
		a.advise(advice.Map, v1alpha1.ReasonNoNodesSelected)
	}
}

// nearest says of each label of the selector how many nodes have it; empty if Nodes couldn't be read.
func (e *Evidence) nearest() string {
	if e.Nodes == nil || len(e.Map.Spec.NodeSelector) == 0 {
		return ""
	}
	var parts []string
	for _, key := range sortedKeys(e.Map.Spec.NodeSelector) {
		value, some, equal := e.Map.Spec.NodeSelector[key], 0, 0
		for i := range e.Nodes {
			have, ok := e.Nodes[i].Labels[key]
			if ok {
				some++
			}
			if ok && have == value {
				equal++
			}
		}
		parts = append(parts, fmt.Sprintf("%s=%s is on %d of %s, %s with any value on %d", key, value, equal, text.Count(len(e.Nodes), "node", "nodes"), key, some))
	}
	return strings.Join(parts, "; ")
}

// conditions are those that are not as people want them and that nothing told of so far.
func (e *Evidence) conditions(a *Answer, ready *metav1.Condition) {
	for _, c := range e.Map.Status.Conditions {
		switch {
		case c.Type == v1alpha1.ConditionSourcesFresh && c.Status == metav1.ConditionFalse,
			c.Type == v1alpha1.ConditionInUse && c.Status == metav1.ConditionFalse,
			ready != nil && c.Type == v1alpha1.ConditionReconciling && c.Reason == v1alpha1.ReasonReconcileFailed:
		default:
			continue
		}
		means := c.Reason
		if found, ok := advice.For(advice.Map, c.Reason); ok {
			means = plain(found.Means)
		}
		a.add(capital(means)+".", condition(&c))
		a.advise(advice.Map, c.Reason)
	}
}

// The labels of the operator's pods.
const (
	componentLabel      = "app.kubernetes.io/component"
	controllerComponent = "controller"
	agentComponent      = "agent"
)

// podSeen is a pod as evidence.
func podSeen(p *corev1.Pod) string {
	return fmt.Sprintf("pod %s/%s on %s: %s%s", p.Namespace, p.Name, p.Spec.NodeName, p.Status.Phase, troubleOf(p))
}

// troubleOf is what a pod's containers or its scheduling say is wrong: ", CrashLoopBackOff: …"; empty if they say nothing.
func troubleOf(p *corev1.Pod) string {
	for i := range p.Status.ContainerStatuses {
		s := &p.Status.ContainerStatuses[i]
		switch {
		case s.State.Waiting != nil && s.State.Waiting.Reason != "":
			return ", " + joined(s.State.Waiting.Reason, s.State.Waiting.Message)
		case s.State.Terminated != nil:
			return ", " + joined(s.State.Terminated.Reason, s.State.Terminated.Message)
		}
	}
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Status == corev1.ConditionFalse && c.Reason != "" && c.Reason != "ContainersNotReady" {
			return ", " + joined(c.Reason, c.Message)
		}
	}
	return ""
}

func joined(reason, message string) string {
	if message == "" {
		return reason
	}
	return reason + ": " + text.Truncate(message, maxQuoted)
}
