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
	// Alive: the Node and its agent are Ready.
	Alive State = iota
	// NodeUnknown: the Node isn't Ready, so nothing that its agent reported need be so any more.
	NodeUnknown
	// AgentUnknown: an agent is to run on the node, and none that is Ready does.
	AgentUnknown
	// NoAgent: no agent is to run on the node.
	NoAgent
)

// Liveness is a node's state, since when, and in words.
type Liveness struct {
	State State
	// Since is when it came to be so; zero if that isn't known, and if it is Alive.
	Since time.Time
	// Message says for people what is missing; empty if it is Alive.
	Message string
}

// Of is a node's liveness.
func Of(node *corev1.Node) Liveness {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
			return Liveness{State: NodeUnknown, Since: c.LastTransitionTime.Time, Message: "the Node isn't Ready"}
		}
	}
	return Liveness{}
}
