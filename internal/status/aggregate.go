// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"time"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/liveness"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Input is everything that the status of one BPFMap follows from.
type Input struct {
	// Map is the BPFMap; its status is the one before.
	Map *v1alpha1.BPFMap
	// Sources are what was read from each source.
	Sources []v1alpha1.SourceStatus
	// Rejected is why the spec isn't accepted; nil if it is.
	Rejected *Rejection
	// Held says what a new revision waits for that the spec asks for; empty if there is none.
	Held string
	// Pending says which source hasn't been fetched yet, so that nothing is known of the newest spec; empty if all have.
	// Then Held is the same.
	Pending string
	// Fetched are the sources that are fetched, in their order.
	Fetched []Fetched
	// Failure is what kept the controller from its work, which it tries again; nil if nothing did.
	Failure *Failure
	// Revision is the newest revision; nil before the first one. Its entries aren't read.
	Revision *v1alpha1.BPFMapRevision
	// Only says that there is no other revision that nodes may hold, or go back to.
	Only bool
	// Entries are how many the revisions declare that nodes may hold, by the revision's name.
	Entries map[string]int64
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
	// Gone are those of the nodes that aren't alive.
	Gone map[string]liveness.Liveness
	// WithoutAgent are the other nodes that Revision selects and that no agent is to run on, with the reason.
	WithoutAgent map[string]string
	// Leaving says how far the nodes are that give the map up because their labels changed; empty if none does.
	Leaving string
	// Withheld says why nodes keep the map that are no longer selected; empty if none does.
	Withheld string
	// Now is the time of conditions that change.
	Now time.Time
}

// The phases of a rollout that conditions speak of, as package rollout names them.
const (
	phaseComplete   = v1alpha1.RolloutPhase("Complete")
	phasePaused     = v1alpha1.RolloutPhase("Paused")
	phaseHalted     = v1alpha1.RolloutPhase("Halted")
	phaseRolledBack = v1alpha1.RolloutPhase("RolledBack")
)

// phase is that of the rollout.
func (in *Input) phase() v1alpha1.RolloutPhase {
	if in.Rollout == nil {
		return phaseComplete
	}
	return in.Rollout.Phase
}

// paused says that people hold the rollout where it is; otherwise its phase Paused means that it has reached the
// partition.
func (in *Input) paused() bool { return in.Map.Spec.Rollout != nil && in.Map.Spec.Rollout.Paused }

// progress is what the rollout says of itself.
func (in *Input) progress() string {
	if in.Rollout == nil {
		return ""
	}
	return in.Rollout.Message
}

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
	counts := count(nodes, in.WithoutAgent)
	s := v1alpha1.BPFMapStatus{
		ObservedGeneration: in.Map.Generation,
		Conditions:         conditions(in, nodes, counts),
		Nodes:              counts.NodeCounts,
		Frozen:             allFrozen(nodes),
		CurrentRevision:    in.Map.Status.CurrentRevision,
		KernelName:         revision.MapName(revision.Key{Namespace: in.Map.Namespace, Name: in.Map.Name}),
		NodeStates:         nodeStates(nodes),
		ContentDigests:     contents(nodes),
		Programs:           programs(nodes),
		Sources:            in.Sources,
	}
	if in.Revision != nil {
		s.UpdateRevision = in.Revision.Name
		s.Digest = in.Revision.Spec.Digest
		s.PinPath = in.Revision.Spec.Pin.Path
		s.Rollout = in.Rollout
		if counts.Ready == counts.Desired && counts.Updated == counts.Desired && (in.Only || in.phase() == phaseComplete) {
			s.CurrentRevision = in.Revision.Name
		}
		s.Entries = in.entries(counts, s.CurrentRevision)
	}
	s.Sources = withFetches(s.Sources, in.Fetched)
	return s
}

// entries is how many the nodes hold by what is declared: those of the newest revision, if all nodes that are known
// hold it or there is no other, else those of the current one.
func (in *Input) entries(counts tally, current string) *int64 {
	entries, ok := in.Entries[current]
	if known := counts.Desired - counts.Unknown; !ok || (known > 0 && counts.Updated == known) {
		entries = in.Revision.Spec.EntryCount
	}
	return &entries
}
