// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/advice"
)

// Evidence is what answers go by. Lists that couldn't be read are nil, and Missing says so.
type Evidence struct {
	Now time.Time
	Map *v1alpha1.BPFMap
	// Revisions are those of the map, the newest first.
	Revisions []v1alpha1.BPFMapRevision
	// States are what all nodes report.
	States []v1alpha1.BPFNodeState
	// Nodes are all nodes.
	Nodes []corev1.Node
	// Agents are the DaemonSets of agents, and Pods their pods and those of the controller.
	Agents []appsv1.DaemonSet
	Pods   []corev1.Pod
	// Missing are what couldn't be read, and why.
	Missing []string
}

// Answer is a chain of causes. Its JSON is what why -o json prints.
type Answer struct {
	// Verdict is what is to be explained, as a sentence.
	Verdict string  `json:"verdict"`
	Causes  []Cause `json:"causes,omitempty"`
	// Do is what to do, the most important first.
	Do []string `json:"do,omitempty"`
	// Missing are what wasn't looked at, and why: with it there may be more causes.
	Missing []string `json:"missing,omitempty"`
}

// Cause is one cause.
type Cause struct {
	// Because is a sentence.
	Because string `json:"because"`
	// Seen are the objects and fields that say so.
	Seen []string `json:"seen,omitempty"`
}

// add adds a cause.
func (a *Answer) add(because string, seen ...string) {
	a.Causes = append(a.Causes, Cause{because, slices.DeleteFunc(seen, func(s string) bool { return s == "" })})
}

// advise adds what to do about a reason, once.
func (a *Answer) advise(scope advice.Scope, reason string) {
	if found, ok := advice.For(scope, reason); ok && found.Do != "" {
		a.do(found.Do)
	}
}

func (a *Answer) do(what string) {
	if !slices.Contains(a.Do, what) {
		a.Do = append(a.Do, what)
	}
}

// own are the revisions of the map, without those of an earlier one of its name. The newest is the first.
func (e *Evidence) own() (own []v1alpha1.BPFMapRevision) {
	for i := range e.Revisions {
		if e.Revisions[i].Spec.MapUID == string(e.Map.UID) {
			own = append(own, e.Revisions[i])
		}
	}
	return own
}

// state is what a node reports; nil if it doesn't.
func (e *Evidence) state(node string) *v1alpha1.BPFNodeState {
	for i := range e.States {
		if e.States[i].Name == node {
			return &e.States[i]
		}
	}
	return nil
}

// report is what a node reports of the map; nil if it doesn't.
func (e *Evidence) report(node string) *v1alpha1.NodeMap {
	s := e.state(node)
	if s == nil {
		return nil
	}
	for i := range s.Status.Maps {
		if m := &s.Status.Maps[i]; m.Namespace == e.Map.Namespace && m.Name == e.Map.Name && m.UID == string(e.Map.UID) {
			return m
		}
	}
	return nil
}

// node is a Node; nil if there is none, or if Nodes couldn't be read.
func (e *Evidence) node(name string) *corev1.Node {
	for i := range e.Nodes {
		if e.Nodes[i].Name == name {
			return &e.Nodes[i]
		}
	}
	return nil
}

// said is what the BPFMap's status says of a node; nil if it says nothing.
func (e *Evidence) said(node string) *v1alpha1.NodeMapStatus {
	for i := range e.Map.Status.NodeStates {
		if s := &e.Map.Status.NodeStates[i]; s.Node == node {
			return s
		}
	}
	return nil
}
