// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package overview

import (
	"cmp"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/advice"
)

// Overview is one BPFMap over its nodes. Its JSON is what status -o json prints.
type Overview struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Type      string `json:"type"`
	// Entries is how many are declared by what the nodes hold; MaxEntries is the capacity, 0 for types without one.
	Entries    *int64 `json:"entries,omitempty"`
	MaxEntries int64  `json:"maxEntries,omitempty"`
	Pin        string `json:"pin,omitempty"`
	// Behind says that the controller hasn't seen the newest spec yet.
	Behind bool `json:"behind,omitempty"`

	Conditions      []Condition             `json:"conditions,omitempty"`
	Nodes           v1alpha1.NodeCounts     `json:"nodes"`
	CurrentRevision string                  `json:"currentRevision,omitempty"`
	UpdateRevision  string                  `json:"updateRevision,omitempty"`
	RollbackTo      string                  `json:"rollbackTo,omitempty"`
	Rollout         *Rollout                `json:"rollout,omitempty"`
	Sources         []v1alpha1.SourceStatus `json:"sources,omitempty"`
	Groups          []Group                 `json:"nodeGroups,omitempty"`
	// Unlisted is how many nodes are in no group, because neither the BPFMap nor the nodes' states tell of them.
	Unlisted int `json:"unlisted,omitempty"`
	// Next is what to do, the most important first.
	Next []Step `json:"next,omitempty"`
}

// Condition is one of the BPFMap's conditions.
type Condition struct {
	Type    string                 `json:"type"`
	Status  metav1.ConditionStatus `json:"status"`
	Reason  string                 `json:"reason"`
	Since   metav1.Time            `json:"since"`
	Message string                 `json:"message"`
	// IsFine says that the condition is as people want it.
	IsFine bool `json:"-"`
}

// Rollout is how far the newest revision is.
type Rollout struct {
	Phase    string `json:"phase"`
	Reason   string `json:"reason,omitempty"`
	Revision string `json:"revision,omitempty"`
	// Batches is how many batches of nodes were told to take it, at most those that are remembered.
	Batches int `json:"batches"`
	// Since is since when it is where it is: since the nodes hold it, else since the last batch was told.
	Since   *metav1.Time `json:"since,omitempty"`
	Message string       `json:"message,omitempty"`
}

// Group is nodes that say the same.
type Group struct {
	Nodes   []string `json:"nodes"`
	State   string   `json:"state"`
	Reason  string   `json:"reason,omitempty"`
	Message string   `json:"message,omitempty"`
	// Revisions are what they hold, sorted.
	Revisions []string `json:"revisions,omitempty"`
}

// Step is something to do, and which reason it is for.
type Step struct {
	Reason string `json:"reason"`
	Means  string `json:"means"`
	Do     string `json:"do"`
}

// Of is the overview of a BPFMap. states are what all nodes report, nil if the caller may not read that: then the nodes
// are those of the BPFMap's own status, of which there are at most v1alpha1.MaxNodeStates.
func Of(m *v1alpha1.BPFMap, states []v1alpha1.BPFNodeState) Overview {
	s := &m.Status
	o := Overview{
		Namespace: m.Namespace, Name: m.Name, Type: string(m.Spec.Type), Entries: s.Entries, MaxEntries: m.Spec.MaxEntries, Pin: s.PinPath,
		Behind: s.ObservedGeneration < m.Generation, Nodes: s.Nodes, CurrentRevision: s.CurrentRevision, UpdateRevision: s.UpdateRevision,
		RollbackTo: m.Spec.RollbackTo, Sources: s.Sources,
	}
	for i := range s.Conditions {
		o.Conditions = append(o.Conditions, conditionOf(&s.Conditions[i]))
	}
	if r := s.Rollout; r != nil {
		o.Rollout = rolloutOf(r)
	}
	nodes := nodesOf(m, states)
	o.Groups = grouped(nodes)
	o.Unlisted = max(0, int(s.Nodes.Desired)-len(nodes))
	o.Next = o.steps()
	return o
}

func conditionOf(c *metav1.Condition) Condition {
	wanted := metav1.ConditionTrue
	switch c.Type {
	case v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled, v1alpha1.ConditionDrifted:
		wanted = metav1.ConditionFalse
	}
	return Condition{Type: c.Type, Status: c.Status, Reason: c.Reason, Since: c.LastTransitionTime, Message: c.Message, IsFine: c.Status == wanted}
}

func rolloutOf(r *v1alpha1.RolloutStatus) *Rollout {
	view := &Rollout{Phase: string(r.Phase), Reason: r.Reason, Revision: r.Revision, Batches: len(r.Batches), Since: r.ReadySince, Message: r.Message}
	if view.Since == nil && len(r.Batches) > 0 && !r.Batches[len(r.Batches)-1].Time.IsZero() {
		view.Since = &r.Batches[len(r.Batches)-1].Time
	}
	return view
}

// Ready is the condition Ready; nil before there is one.
func (o *Overview) Ready() *Condition { return o.condition(v1alpha1.ConditionReady) }

func (o *Overview) condition(name string) *Condition {
	for i := range o.Conditions {
		if o.Conditions[i].Type == name {
			return &o.Conditions[i]
		}
	}
	return nil
}

// node is one node of the map.
type node struct{ name, state, reason, message, revision string }

// nodesOf are the nodes of the map: as its own status has them, which knows which of them are alive, and the others as
// they report themselves.
func nodesOf(m *v1alpha1.BPFMap, states []v1alpha1.BPFNodeState) []node {
	reported := map[string]*v1alpha1.NodeMap{}
	var order []string
	for i := range states {
		for j := range states[i].Status.Maps {
			if nm := &states[i].Status.Maps[j]; nm.Namespace == m.Namespace && nm.Name == m.Name && nm.UID == string(m.UID) {
				reported[states[i].Name] = nm
				order = append(order, states[i].Name)
			}
		}
	}
	var nodes []node
	for i := range m.Status.NodeStates {
		s := &m.Status.NodeStates[i]
		n := node{name: s.Node, state: stateOf(s), reason: s.Reason, message: s.Message}
		if nm := reported[s.Node]; nm != nil {
			n.revision = nm.Revision
			delete(reported, s.Node)
		}
		nodes = append(nodes, n)
	}
	for _, name := range order {
		if nm := reported[name]; nm != nil {
			n := node{name: name, state: string(nm.State), reason: nm.Reason, revision: nm.Revision}
			if nm.Drifted {
				n.state = Drifted
			}
			if n.state != string(v1alpha1.NodeMapReady) {
				n.message = nm.Message
			}
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// stateOf is the state of a node by the BPFMap's status, which has only its reason.
func stateOf(s *v1alpha1.NodeMapStatus) string {
	switch {
	case s.Ready:
		return string(v1alpha1.NodeMapReady)
	case s.Reason == v1alpha1.ReasonNodeStatusUnknown, s.Reason == v1alpha1.ReasonAgentStatusUnknown:
		return Unknown
	case s.Reason == v1alpha1.NodeReasonDrifted:
		return Drifted
	case s.Reason == string(v1alpha1.NodeMapPending), waits(s.Reason):
		return string(v1alpha1.NodeMapPending)
	}
	return string(v1alpha1.NodeMapFailed)
}

// The states of nodes beside those that agents report.
const (
	// Unknown is that of nodes of which nothing is known.
	Unknown = "Unknown"
	// Drifted is that of nodes whose map others changed, and nobody repairs.
	Drifted = "Drifted"
)

// waits says whether a reason is one for which agents wait.
func waits(reason string) bool {
	return slices.Contains([]string{v1alpha1.NodeReasonWaitsForGroup, v1alpha1.NodeReasonReferenceNotFound, v1alpha1.NodeReasonInterrupted}, reason)
}

// rank is the order in which people want to read of states.
func rank(state string) int {
	return slices.Index([]string{
		string(v1alpha1.NodeMapStalled), string(v1alpha1.NodeMapFailed), Drifted, Unknown, string(v1alpha1.NodeMapPending), string(v1alpha1.NodeMapReady),
	}, state)
}

// grouped is the nodes by what they say, the worst first, and the larger groups before the smaller ones.
func grouped(nodes []node) []Group {
	type key struct{ state, reason, message string }
	at := map[key]int{}
	var groups []Group
	for _, n := range nodes {
		k := key{n.state, n.reason, n.message}
		i, ok := at[k]
		if !ok {
			i = len(groups)
			at[k] = i
			groups = append(groups, Group{State: n.state, Reason: n.reason, Message: n.message})
		}
		g := &groups[i]
		g.Nodes = append(g.Nodes, n.name)
		if n.revision != "" && !slices.Contains(g.Revisions, n.revision) {
			g.Revisions = append(g.Revisions, n.revision)
		}
	}
	for i := range groups {
		slices.Sort(groups[i].Nodes)
		slices.Sort(groups[i].Revisions)
	}
	slices.SortStableFunc(groups, func(a, b Group) int {
		return cmp.Or(rank(a.State)-rank(b.State), len(b.Nodes)-len(a.Nodes), strings.Compare(a.Nodes[0], b.Nodes[0]))
	})
	return groups
}

// steps is what to do: first about the spec, then about nodes, then about the rest.
func (o *Overview) steps() []Step {
	var steps []Step
	add := func(a advice.Advice, ok bool) {
		if ok && a.Do != "" && !slices.ContainsFunc(steps, func(s Step) bool { return s.Do == o.fill(a.Do) }) {
			steps = append(steps, Step{Reason: a.Reason, Means: a.Means, Do: o.fill(a.Do)})
		}
	}
	for _, name := range []string{v1alpha1.ConditionAccepted, v1alpha1.ConditionSourcesFresh} {
		if c := o.condition(name); c != nil && !c.IsFine {
			add(advice.For(advice.Map, c.Reason))
		}
	}
	for _, g := range o.Groups {
		if g.State == Unknown {
			add(advice.For(advice.NodeState, g.Reason))
		} else {
			add(advice.For(advice.Node, g.Reason))
		}
	}
	for _, c := range o.Conditions {
		if !c.IsFine || c.Type == v1alpha1.ConditionReady {
			add(advice.ForMap(c.Reason))
		}
	}
	return steps
}

// fill puts the map's name where the advice has MAP.
func (o *Overview) fill(do string) string {
	return strings.ReplaceAll(do, " MAP", " "+strings.TrimSpace("-n "+o.Namespace+" "+o.Name))
}

// Age is how long ago a time was, as kubectl has it: "42s", "5m", "3h", "12d"; "-" for none.
func Age(t *metav1.Time, now time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	d := now.Sub(t.Time)
	if d < 0 {
		d = 0
	}
	return duration.HumanDuration(d)
}
