// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"slices"
	"time"
)

// Phase is how a rollout is as a whole.
type Phase string

// The phases.
const (
	// Progressing: nodes are taking the new revision, or wait for their turn.
	Progressing Phase = "Progressing"
	// Paused: policy.Paused holds it, or as many nodes as may have the new revision have it.
	Paused Phase = "Paused"
	// Halted: more nodes fail than may, and the frontier stays until they recover.
	Halted Phase = "Halted"
	// RolledBack: more nodes failed than may, and all nodes are to hold the old revision. Only a new revision
	// continues.
	RolledBack Phase = "RolledBack"
	// Complete: every node takes the new revision, and those that were waited for held it for long enough.
	Complete Phase = "Complete"
)

// Reason is why a rollout is in its phase.
type Reason string

// The reasons.
const (
	// Updating: nodes that take the revision have yet to report that they hold it.
	Updating Reason = "Updating"
	// Soaking: the nodes that take the revision hold it, and have to do so for Policy.MinReady.
	Soaking Reason = "Soaking"
	// PausedBySpec: Policy.Paused holds the frontier.
	PausedBySpec Reason = "Paused"
	// PartitionReached: all nodes but those of Policy.Partition hold the revision.
	PartitionReached Reason = "PartitionReached"
	// NodesFailed: more than Policy.MaxFailed nodes fail or failed.
	NodesFailed Reason = "NodesFailed"
	// RolledOut: the rollout came to its end.
	RolledOut Reason = "RolledOut"
)

// Batch is the nodes that were told together to take a revision: those up to its frontier that no batch
// before includes.
type Batch struct {
	Frontier string
	// Time is when they were told; zero if that isn't known.
	Time time.Time
}

// Status is what is remembered between two steps. Only the last batch and RolledBack decide what nodes do; the
// rest may be lost, and then the nodes that took the revision earlier count as told with the last batch.
type Status struct {
	Phase Phase
	// Batches are all batches, the oldest first; none before the first one. A last one with the frontier None took
	// the revision back.
	Batches []Batch
	// RolledBack is why the revision was taken back; empty if it wasn't.
	RolledBack string
	// ReadySince is since when all nodes up to the frontier that are waited for hold the revision; zero if they
	// don't.
	ReadySince time.Time
}

// toAll says that every node was told to take the revision, and those that join will be.
func (s *Status) toAll() bool { return includesAll(s.Frontier()) }

// Frontier is how far the revision may go.
func (s *Status) Frontier() string {
	if len(s.Batches) == 0 {
		return None
	}
	return s.Batches[len(s.Batches)-1].Frontier
}

// MaxBatches is how many batches a status remembers. Older ones become one, told when the first of them was.
const MaxBatches = 16

// moved is the batches after the frontier got somewhere.
func (s *Status) moved(frontier string, now time.Time) []Batch {
	batches := append(slices.Clone(s.Batches), Batch{Frontier: frontier, Time: now})
	if extra := len(batches) - MaxBatches; extra > 0 {
		batches[extra].Time = batches[0].Time
		batches = batches[extra:]
	}
	return batches
}

// Recall is the batches of a revision whose frontier got where it is at a time, given those that are
// remembered. The frontier decides: what is remembered may be older, or lost.
func Recall(remembered []Batch, frontier string, at time.Time) []Batch {
	if frontier == None {
		return nil
	}
	end, _ := reach(frontier)
	var batches []Batch
	var last uint64
	for _, b := range remembered {
		if at, ok := reach(b.Frontier); ok && at > last && at < end {
			batches, last = append(batches, b), at
		}
	}
	return append(batches, Batch{Frontier: frontier, Time: at})
}
