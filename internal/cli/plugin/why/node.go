// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/advice"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/overview"
	"github.com/bpfmap-io/bpfmap-operator/internal/liveness"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// OfNode says why a node has what it has of the map.
func OfNode(e *Evidence, node string) Answer {
	a := Answer{Missing: e.Missing, Verdict: e.holds(node)}
	e.unseen(&a)
	e.refused(&a)
	e.rolledBackTo(&a)
	if !e.exists(&a, node) {
		return a
	}
	selected := e.selected(&a, node)
	alive := e.alive(&a, node)
	if alive {
		e.host(&a, node)
	}
	if selected && (alive || e.report(node) != nil) {
		e.assigned(&a, node)
	}
	e.reported(&a, node)
	if r := e.report(node); len(a.Causes) == 0 && r != nil && r.Revision == e.Map.Status.UpdateRevision {
		a.add("The node holds the newest revision as declared.")
	}
	return a
}

// holds is the verdict: what the node has.
func (e *Evidence) holds(node string) string {
	name := e.Map.Namespace + "/" + e.Map.Name
	r, said := e.report(node), e.said(node)
	switch {
	case r != nil && r.MapID != 0:
		s := fmt.Sprintf("%s has %s at revision %s: map id %d, %s", node, name, r.Revision, r.MapID, r.State)
		if r.Reason != "" {
			s += " (" + r.Reason + ")"
		}
		return s + "."
	case r != nil:
		return fmt.Sprintf("%s doesn't have %s: %s (%s).", node, name, r.State, r.Reason)
	case e.States == nil && said != nil:
		return fmt.Sprintf("%s: %s of %s, by the BPFMap's status.", node, said.Reason, name)
	case e.States == nil:
		return fmt.Sprintf("What %s has of %s isn't known.", node, name)
	}
	return fmt.Sprintf("%s doesn't have %s.", node, name)
}

// exists says whether the node may have any map.
func (e *Evidence) exists(a *Answer, node string) bool {
	if e.Nodes == nil || e.node(node) != nil {
		return true
	}
	var seen []string
	if e.state(node) != nil {
		seen = append(seen, "there is a BPFNodeState of the name, and no Node")
	}
	a.add("There is no Node "+node+".", seen...)
	a.do("check the name: `kubectl get nodes`")
	return false
}

// selected says whether the newest revision that got to the node selects it, as far as that is known.
func (e *Evidence) selected(a *Answer, node string) bool {
	n := e.node(node)
	if n == nil {
		return true
	}
	selector, seen := e.Map.Spec.NodeSelector, "spec.nodeSelector"
	if own := e.own(); len(own) > 0 {
		if r := rollout.Newest(own, node); r != nil {
			selector, seen = r.Spec.NodeSelector, "nodeSelector of revision "+r.Name
		}
	}
	if labels.SelectorFromSet(selector).Matches(labels.Set(n.Labels)) {
		return true
	}
	for _, key := range sortedKeys(selector) {
		switch have, ok := n.Labels[key]; {
		case !ok:
			a.add(fmt.Sprintf("The node has no label %s, and the map is for nodes with %s=%s.", key, key, selector[key]), seen+": "+labels.Set(selector).String())
		case have != selector[key]:
			a.add(fmt.Sprintf("The node's label %s is %s, and the map is for nodes with %s=%s.", key, have, key, selector[key]), seen+": "+labels.Set(selector).String())
		}
	}
	if r := e.report(node); r != nil && r.MapID != 0 {
		a.add("It keeps the map until the controller releases it, a few nodes at a time, and never the last one without spec.allowNoNodes.", "BPFNodeState "+node+": map id "+fmt.Sprint(r.MapID))
	}
	a.do(fmt.Sprintf("if the node is to have the map: `kubectl label node %s %s`", node, labels.Set(selector).String()))
	return false
}

// alive says whether the node's reports count, and why they don't.
func (e *Evidence) alive(a *Answer, node string) bool {
	n := e.node(node)
	if n == nil || e.Pods == nil {
		return e.aliveByStatus(a, node)
	}
	live := e.liveness(n)
	var pods []string
	for i := range e.Pods {
		if p := &e.Pods[i]; isAgent(p) && p.Spec.NodeName == node {
			pods = append(pods, podSeen(p))
		}
	}
	since := ""
	if !live.Since.IsZero() {
		since = e.since(&metav1.Time{Time: live.Since})
	}
	switch live.State {
	case liveness.Alive:
		return true
	case liveness.NodeUnknown:
		a.add(fmt.Sprintf("Node %s isn't Ready%s, so what its agent reported may no longer be so.", node, since), append([]string{nodeSeen(n)}, pods...)...)
		a.advise(advice.NodeState, v1alpha1.ReasonNodeStatusUnknown)
	case liveness.NoAgent:
		a.add(capital(live.Message)+" ("+node+").", pods...)
		a.do("let an agent run there (`agent.nodeSelector`, `agent.affinity`, `agent.tolerations` of the chart), or leave the node out by `spec.nodeSelector`")
	default:
		a.add(fmt.Sprintf("On %s %s%s.", node, live.Message, since), pods...)
		a.advise(advice.NodeState, v1alpha1.ReasonAgentStatusUnknown)
	}
	return false
}

// aliveByStatus is alive by the condition Ready of the BPFNodeState, which the controller made.
func (e *Evidence) aliveByStatus(a *Answer, node string) bool {
	s := e.state(node)
	if s == nil {
		return true
	}
	c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.Status != metav1.ConditionUnknown {
		return true
	}
	a.add("Nothing newer is known of "+node+e.since(&c.LastTransitionTime)+".", "BPFNodeState "+node+": "+condition(c))
	a.advise(advice.NodeState, c.Reason)
	return false
}

// liveness is the node's, by the DaemonSet of agents that has a pod there, else by the first one.
func (e *Evidence) liveness(n *corev1.Node) liveness.Liveness {
	agent := liveness.Agent{}
	for i := range e.Pods {
		if p := &e.Pods[i]; isAgent(p) && p.Spec.NodeName == n.Name {
			agent.Pods = append(agent.Pods, p)
		}
	}
	switch {
	case e.Agents == nil: // not known which nodes they are for
	case len(e.Agents) == 0:
		agent.Rules = liveness.NewRules(nil)
	default:
		ds := &e.Agents[0]
		for i := range e.Agents {
			if slices.ContainsFunc(agent.Pods, func(p *corev1.Pod) bool { return metav1.IsControlledBy(p, &e.Agents[i]) }) {
				ds = &e.Agents[i]
			}
		}
		agent.Rules = liveness.NewRules(&ds.Spec.Template)
	}
	return liveness.Of(n, agent, e.Now)
}

// isAgent says whether a pod is one of the operator's agents.
func isAgent(p *corev1.Pod) bool {
	return p.Labels[componentLabel] == agentComponent || p.Labels[v1alpha1.LabelAgent] == "true"
}

func nodeSeen(n *corev1.Node) string {
	for i := range n.Status.Conditions {
		if c := &n.Status.Conditions[i]; c.Type == corev1.NodeReady {
			return fmt.Sprintf("Node %s: Ready=%s (%s): %s", n.Name, c.Status, c.Reason, c.Message)
		}
	}
	return "Node " + n.Name + " has no condition Ready"
}

// host is that maps can't be managed on the node at all.
func (e *Evidence) host(a *Answer, node string) {
	s := e.state(node)
	if s == nil {
		return
	}
	c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionHostReady)
	if c == nil || c.Status != metav1.ConditionFalse {
		return
	}
	means := c.Message
	if found, ok := advice.For(advice.NodeState, c.Reason); ok {
		means = plain(found.Means)
	}
	a.add("No map can be managed on "+node+": "+means+".", "BPFNodeState "+node+": "+condition(c))
	a.advise(advice.NodeState, c.Reason)
}

// assigned is which revision the node is to hold, and why not the newest one.
func (e *Evidence) assigned(a *Answer, node string) {
	own := e.own()
	if len(own) == 0 {
		return
	}
	newest := &own[0]
	order := rollout.OrderOf(newest)
	if rollout.Includes(node, order, newest.Status.Rollout.Frontier) {
		e.updating(a, node, newest)
		return
	}
	keeps := "no revision"
	if r := rollout.Newest(own, node); r != nil {
		keeps = "revision " + r.Name
	}
	if why := newest.Status.Rollout.RolledBack; why != "" {
		a.add(fmt.Sprintf("The node is to hold %s, since the newest one, %s, was rolled back.", keeps, newest.Name), "status.rollout.rolledBack of the revision: "+why)
		a.advise(advice.Map, v1alpha1.ReasonRolledBack)
		return
	}
	place, of, told := e.place(node, newest)
	seen := fmt.Sprintf("rank %s, frontier %s", rollout.Rank(node, order), frontier(newest.Status.Rollout.Frontier))
	if of > 0 {
		a.add(fmt.Sprintf("The node is to hold %s for now: it is number %d of %d in the order in which nodes take %s, and %d were told so far.", keeps, place, of, newest.Name, told), seen)
	} else {
		a.add(fmt.Sprintf("The node is to hold %s for now: the rollout of %s hasn't got to it.", keeps, newest.Name), seen)
	}
	e.rolling(a)
}

// updating is that the node was told to take the newest revision and doesn't hold it.
func (e *Evidence) updating(a *Answer, node string, newest *v1alpha1.BPFMapRevision) {
	r := e.report(node)
	switch {
	case e.States == nil:
	case r == nil:
		a.add(fmt.Sprintf("The node was told to take revision %s, and its agent hasn't reported on the map.", newest.Name), told(newest, e))
		a.do(readLog)
	case r.Revision != newest.Name:
		a.add(fmt.Sprintf("The node was told to take revision %s, and its agent last reported on %s.", newest.Name, r.Revision), told(newest, e))
		a.do(readLog)
	}
}

// readLog is what to do about an agent that should have reported.
const readLog = "wait; if it stays, read the log of the node's agent"

func told(rev *v1alpha1.BPFMapRevision, e *Evidence) string {
	if t := rev.Status.Rollout.FrontierTime; t != nil {
		return fmt.Sprintf("the frontier of the revision got where it is %s ago", overview.Age(t, e.Now))
	}
	return ""
}

// place is the node's place, from 1, in the order of a revision among the nodes that it selects, how many those are, and
// how many of them were told. of is 0 if Nodes couldn't be read.
func (e *Evidence) place(node string, rev *v1alpha1.BPFMapRevision) (place, of, told int) {
	order := rollout.OrderOf(rev)
	rank := rollout.Rank(node, order)
	place = 1
	for i := range e.Nodes {
		n := &e.Nodes[i]
		if !labels.SelectorFromSet(rev.Spec.NodeSelector).Matches(labels.Set(n.Labels)) || e.liveness(n).State == liveness.NoAgent {
			continue
		}
		of++
		if rollout.Includes(n.Name, order, rev.Status.Rollout.Frontier) {
			told++
		}
		if rollout.Rank(n.Name, order) < rank {
			place++
		}
	}
	return place, of, told
}

// frontier is a frontier for people.
func frontier(f string) string {
	switch f {
	case rollout.None:
		return "none"
	case rollout.All:
		return "all"
	}
	return f
}

// reported is what the agent says is wrong.
func (e *Evidence) reported(a *Answer, node string) {
	r, said := e.report(node), e.said(node)
	if e.States == nil && said != nil && !said.Ready {
		e.bySummary(a, said)
		return
	}
	if r == nil || (r.State == v1alpha1.NodeMapReady && !r.Drifted) {
		return
	}
	means := string(r.State)
	if found, ok := advice.For(advice.Node, r.Reason); ok {
		means = plain(found.Means)
	}
	seen := []string{fmt.Sprintf("BPFNodeState %s, revision %s: %s %s: %s", node, r.Revision, r.State, r.Reason, r.Message)}
	if n := len(r.DriftedEntries); n > 0 {
		seen = append(seen, "driftedEntries has "+text.Count(n, "entry", "entries")+" of those that differ")
	}
	a.add(capital(means)+".", seen...)
	a.advise(advice.Node, r.Reason)
}

// bySummary is reported by the BPFMap's own status, for callers who may not read BPFNodeStates.
func (e *Evidence) bySummary(a *Answer, said *v1alpha1.NodeMapStatus) {
	means := said.Reason
	for _, scope := range []advice.Scope{advice.Node, advice.NodeState} {
		if found, ok := advice.For(scope, said.Reason); ok {
			means = plain(found.Means)
			a.advise(scope, said.Reason)
			break
		}
	}
	a.add(capital(means)+".", "status.nodeStates: "+said.Reason+": "+said.Message)
}
