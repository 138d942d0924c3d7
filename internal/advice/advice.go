// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package advice

import "slices"

// Scope is what a reason is about. Some reasons, such as Drifted, exist in more than one.
type Scope string

// The scopes.
const (
	// Map are the conditions of a BPFMap.
	Map Scope = "BPFMap"
	// Node is how one node holds a map: status.nodeStates of a BPFMap, status.maps of a BPFNodeState.
	Node Scope = "Map on a node"
	// NodeState are the conditions of a BPFNodeState.
	NodeState Scope = "BPFNodeState"
	// Rollout is status.rollout of a BPFMap.
	Rollout Scope = "Rollout"
)

// Scopes are all of them, in the order of the documentation.
func Scopes() []Scope { return []Scope{Map, Rollout, Node, NodeState} }

// Advice is about one reason. The texts are of plain Markdown: command lines and fields are in backquotes.
type Advice struct {
	Scope  Scope
	Reason string
	// Means is what the reason says, in a sentence without a full stop.
	Means string
	// Do is what to do next; empty if there is nothing to do.
	Do string
}

// All are all of them: scope by scope, in the order of the documentation.
func All() []Advice {
	return slices.Concat(mapReasons, rolloutReasons, nodeReasons, nodeStateReasons)
}

// For is the advice for a reason; not ok if the reason is not one of this version.
func For(scope Scope, reason string) (Advice, bool) {
	for _, list := range [][]Advice{mapReasons, rolloutReasons, nodeReasons, nodeStateReasons} {
		for _, a := range list {
			if a.Scope == scope && a.Reason == reason {
				return a, true
			}
		}
	}
	return Advice{}, false
}

// ForMap is the advice for a reason of a BPFMap's condition: of the map itself, else of its nodes, whose reasons the
// condition Ready repeats.
func ForMap(reason string) (Advice, bool) {
	for _, scope := range []Scope{Map, Node, NodeState} {
		if a, ok := For(scope, reason); ok {
			return a, true
		}
	}
	return Advice{}, false
}
