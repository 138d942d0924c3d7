// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import "github.com/bpfmap-io/bpfmap-operator/internal/liveness"

// omits says whether a node has more maps than its state has room for. What isn't listed there may be as declared
// or not: nobody knows.
func (x *fleetIndex) omits(node string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	state := x.reported[node]
	return state != nil && int(state.Status.Summary.Maps) > len(state.Status.Maps)
}

// unlisted is what a report is worth that has no room for the map. Since when isn't known: a rollout doesn't wait
// for such a node.
var unlisted = liveness.Liveness{
	State:   liveness.AgentUnknown,
	Message: "the node has more maps than its BPFNodeState can list, and this one isn't among those (chart value agent.namespaceMapLimits)",
}
