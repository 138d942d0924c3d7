// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"time"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Input is everything that the status of one BPFMap follows from.
type Input struct {
	// Map is the BPFMap; its status is the one before.
	Map *v1alpha1.BPFMap
	// Rejected is why the spec isn't accepted; nil if it is.
	Rejected *Rejection
	// Failure is what kept the controller from its work, which it tries again; nil if nothing did.
	Failure *Failure
	// Revision is the newest revision; nil before the first one. Its entries aren't read.
	Revision *v1alpha1.BPFMapRevision
	// Nodes are the names of the nodes that are to have the map, in any order.
	Nodes []string
	// Assigned is the name of the revision that each of them is to hold; that of Revision for nodes
	// that aren't in it.
	Assigned map[string]string
	// Rollout is how far Revision goes; nil if it goes to all nodes.
	Rollout *v1alpha1.RolloutStatus
	// MapStates holds what those nodes report about this BPFMap, by the node's name. Those of other nodes
	// are ignored.
	MapStates map[string]v1alpha1.NodeMap
	// Now is the time of conditions that change.
	Now time.Time
}

// rolledOut says that every node is to hold the newest revision.
func (in *Input) rolledOut() bool { return in.Rollout == nil || in.Rollout.Phase == phaseComplete }

// The phases of a rollout that conditions speak of, as package rollout names them.
const (
	phaseComplete   = v1alpha1.RolloutPhase("Complete")
	phaseRolledBack = v1alpha1.RolloutPhase("RolledBack")
)

// Rejection is why a spec isn't accepted: a reason of condition Accepted, and a text that names the place.
// Trying again doesn't help: people have to change something.
type Rejection struct {
	Reason, Message string
}

// Failure is an error that may pass.
type Failure struct {
	// Message names the step and the cause.
	Message string
	// Outdated says that it isn't known whether Revision is what the spec asks for, because the failure
	// came before that was found out.
	Outdated bool
}

// outdated says that nothing can be said about the newest spec.
func (in *Input) outdated() bool { return in.Failure != nil && in.Failure.Outdated }

// Aggregate is the status that follows from in. The result shares no memory with it.
func Aggregate(in Input) v1alpha1.BPFMapStatus {
	nodes := classify(in)
	counts := count(nodes)
	s := v1alpha1.BPFMapStatus{
		ObservedGeneration: in.Map.Generation,
		Conditions:         conditions(in, nodes, counts),
		Nodes:              counts,
		Frozen:             allFrozen(nodes),
		CurrentRevision:    in.Map.Status.CurrentRevision,
		KernelName:         revision.MapName(revision.Key{Namespace: in.Map.Namespace, Name: in.Map.Name}),
		NodeStates:         nodeStates(nodes),
		ContentDigests:     contents(nodes),
	}
	if in.Revision != nil {
		entries := in.Revision.Spec.EntryCount
		s.Entries = &entries
		s.UpdateRevision = in.Revision.Name
		s.Digest = in.Revision.Spec.Digest
		s.PinPath = in.Revision.Spec.Pin.Path
		s.Rollout = in.Rollout
		if counts.Ready == counts.Desired && counts.Updated == counts.Desired && in.rolledOut() {
			s.CurrentRevision = in.Revision.Name
		}
	}
	return s
}
