// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package liveness

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// State is how much a node's reports are worth.
type State int

// The states.
const (
	// Alive: the Node and its agent are Ready, or the agent isn't for less than Grace.
	Alive State = iota
	// NodeUnknown: the Node isn't Ready, so nothing that its agent reported need be so any more.
	NodeUnknown
	// AgentUnknown: an agent is to run on the node, and none that is Ready does.
	AgentUnknown
	// NoAgent: no agent is to run on the node.
	NoAgent
)

// Grace is how long an agent may be gone before its reports count for nothing: the time in which a pod of a
// DaemonSet is replaced by the next one.
const Grace = 10 * time.Second

// Liveness is a node's state, since when, and in words.
type Liveness struct {
	State State
	// Since is when it came to be so; zero if that isn't known.
	Since time.Time
	// Message says for people what is missing, without a time, so that nodes that lack the same say the same;
	// empty if it is Alive.
	Message string
	// Why is, of NoAgent, the part of Message that says why.
	Why string
	// Until is when the verdict changes though nothing else does; zero for never.
	Until time.Time
}

// Same says whether two verdicts tell people and rollouts the same. A pod that is Ready again within its grace
// makes another Since, and no difference.
func (l Liveness) Same(other Liveness) bool {
	return l.State == other.State && l.Message == other.Message && (l.State == Alive || l.Since.Equal(other.Since))
}

// Agent is what is known of a node's agent.
type Agent struct {
	// Rules say on which nodes an agent is to run. Without them agents aren't considered, only Nodes.
	Rules *Rules
	// Pods are the agent's pods on the node: usually one, during an update an old and a new one.
	Pods []*corev1.Pod
	// Lost is when the last of its pods was deleted; zero if that isn't known, and while there is one that is Ready.
	Lost time.Time
}

// Of is a node's liveness.
func Of(node *corev1.Node, agent Agent, now time.Time) Liveness {
	ready, since := agent.isReady()
	if !ready && agent.Rules.exist {
		if why := agent.Rules.excludes(node, len(agent.Pods) > 0); why != "" {
			return Liveness{State: NoAgent, Message: "no agent is to run there: " + why, Why: why}
		}
	}
	for i := range node.Status.Conditions { // without the condition, as other kubelets make them, it counts as Ready
		c := &node.Status.Conditions[i]
		if c.Type != corev1.NodeReady {
			continue
		}
		if c.Status != corev1.ConditionTrue {
			return Liveness{State: NodeUnknown, Since: c.LastTransitionTime.Time, Message: "the Node isn't Ready"}
		}
		if c.LastTransitionTime.After(since) {
			since = c.LastTransitionTime.Time
		}
	}
	if ready {
		return Liveness{Since: since}
	}
	lost := agent.lastReady()
	if end := lost.Add(Grace); !lost.IsZero() && now.Before(end) {
		return Liveness{Since: since, Until: end}
	}
	return Liveness{State: AgentUnknown, Since: lost, Message: agent.missing()}
}

// isReady says whether an agent is Ready, if agents are considered, and since when.
func (a *Agent) isReady() (ready bool, since time.Time) {
	for _, p := range a.Pods {
		if !IsReady(p) {
			continue
		}
		if t := readyCondition(p).LastTransitionTime.Time; !ready || t.Before(since) {
			ready, since = true, t
		}
	}
	if a.Rules == nil {
		return true, time.Time{}
	}
	return ready, since
}

func (a *Agent) missing() string {
	switch {
	case !a.Rules.exist:
		return "the agents' DaemonSet doesn't exist"
	case len(a.Pods) == 0:
		return "the agent has no pod"
	}
	return "the agent's pod isn't Ready"
}

// lastReady is when the last pod that was Ready stopped to be; zero if that isn't known.
func (a *Agent) lastReady() time.Time {
	since := a.Lost
	for _, p := range a.Pods {
		if t := NotReadySince(p); since.IsZero() || t.Before(since) {
			since = t
		}
	}
	return since
}

// NotReadySince is since when a pod that isn't Ready wasn't: since it was made, if it never was.
func NotReadySince(pod *corev1.Pod) time.Time {
	if c := readyCondition(pod); c != nil {
		return c.LastTransitionTime.Time
	}
	return pod.CreationTimestamp.Time
}

// IsReady says whether a pod is Ready.
func IsReady(pod *corev1.Pod) bool {
	c := readyCondition(pod)
	return c != nil && c.Status == corev1.ConditionTrue
}

func readyCondition(pod *corev1.Pod) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodReady {
			return c
		}
	}
	return nil
}
