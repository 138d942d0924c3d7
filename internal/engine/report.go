// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Action is what Sync or Remove did, for events.
type Action string

// The actions.
const (
	ActionNone     Action = ""
	ActionCreated  Action = "Created"
	ActionAdopted  Action = "Adopted"
	ActionUpdated  Action = "Updated"
	ActionReplaced Action = "Replaced"
	ActionRepaired Action = "Repaired"
	ActionRemoved  Action = "Removed"
	ActionRetained Action = "Retained"
	// ActionGivenBack: our keys were taken out, and the map was left as it was found.
	ActionGivenBack Action = "GivenBack"
)

// Report is how a map is after Sync or Remove.
type Report struct {
	Key revision.Key
	// UID, Revision and Digest are those of the revision; Digest only if the map holds it.
	UID, Revision, Digest string

	State   v1alpha1.NodeMapState
	Reason  string
	Message string

	MapID   uint32
	PinPath string
	// Entries is how many elements the map holds, nil for arrays, queues and stacks.
	Entries      *int64
	MemlockBytes int64
	Frozen       bool
	// SchemaVerified says whether key and value are known to be laid out as the map's programs have them; empty if not,
	// or if they aren't.
	SchemaVerified v1alpha1.SchemaVerification

	// Origin is who made the map; empty if nobody knows.
	Origin v1alpha1.MapOrigin

	// Shared tells how declared parts of values are written beside those of programs, nil if programs own none.
	Shared *Shared

	// Drift is what drift was found, nil for none.
	Drift *Drift
	// DriftCount is how many times drift was found since the map was first managed.
	DriftCount int64

	// Replaced are maps that this one took the pin of and that may still be in use, the last one first.
	Replaced []ReplacedMap

	Action Action
	// Plan is what was done, or, for a report of drift and a stall, what would be.
	Plan plan.Plan
	// Err is the cause of the states Failed and Stalled, and of Pending if the work was interrupted.
	Err error
}

// Shared is a map whose values have two owners.
type Shared struct {
	// Declared is how many of the Bytes of one value hold declared bits.
	Declared, Bytes int
	// Way is the least exact way in which they were written into elements that were there; empty if none were.
	Way StoreWay
}

// ReplacedMap is a map that another one took the pin of.
type ReplacedMap struct {
	ID uint32
	// Users are the programs that still use it; UsersKnown says whether this process could ask.
	Users      []string
	UsersKnown bool
}

// Drift is a map that differs from its revision though that was applied before.
type Drift struct {
	Kind plan.DriftKind
	// Summary is for people, for example "2 entries missing, 1 changed".
	Summary  string
	Repaired bool
	// Count is how many entries differ; 0 for drift of another kind.
	Count int
	// Overwritten is how many elements that others changed a new revision changed as well, with driftPolicy Report.
	Overwritten int
	// Entries are some of what differed, at most v1alpha1.MaxDriftedEntries, in the order of their keys; none if
	// contents come from a Secret.
	Entries []v1alpha1.DriftedEntry
	// Changes are which fields differ in each of Entries, "rate 9000 → 1000" from what was found to what is declared;
	// empty for those that were missing or aren't declared.
	Changes []string
}

// String is the summary with the entries: "1 entry changed: customer-a: rate 9000 → 1000".
func (d *Drift) String() string {
	if len(d.Entries) == 0 {
		return d.Summary
	}
	var b strings.Builder
	b.WriteString(d.Summary)
	for i, e := range d.Entries {
		b.WriteString([]string{": ", "; "}[min(i, 1)] + e.Key + ": ")
		switch {
		case i < len(d.Changes) && d.Changes[i] != "":
			b.WriteString(d.Changes[i])
		case e.Found == "":
			b.WriteString("missing, declared " + e.Declared)
		case e.Declared == "":
			b.WriteString("found " + e.Found + ", not declared")
		default:
			b.WriteString("found " + e.Found + ", declared " + e.Declared)
		}
	}
	if more := d.Count - len(d.Entries); more > 0 {
		fmt.Fprintf(&b, "; and %d more", more)
	}
	return b.String()
}

// reasonOf is an error's reason. That of work that its context ended is always the same, wherever it was.
func reasonOf(err error) string {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return v1alpha1.NodeReasonInterrupted
	}
	var r Reasoner
	if errors.As(err, &r) {
		return r.Reason()
	}
	return v1alpha1.NodeReasonSyncFailed
}

// stateOf is whether trying again may help. Interrupted work has not failed: nobody knows yet how it ends.
func stateOf(reason string) v1alpha1.NodeMapState {
	switch reason {
	case v1alpha1.NodeReasonInterrupted:
		return v1alpha1.NodeMapPending
	case v1alpha1.NodeReasonIncompatible, v1alpha1.NodeReasonSchemaMismatch, v1alpha1.NodeReasonFrozen, v1alpha1.NodeReasonPinNotAllowed,
		v1alpha1.NodeReasonAdoptionNotAllowed,
		v1alpha1.NodeReasonNotSupported, v1alpha1.NodeReasonInvalidRevision, v1alpha1.NodeReasonInvalidReference,
		v1alpha1.NodeReasonQuotaExceeded:
		return v1alpha1.NodeMapStalled
	}
	return v1alpha1.NodeMapFailed
}

// Fail puts an error into a report.
func (r *Report) Fail(err error) {
	r.Reason = reasonOf(err)
	r.State, r.Message, r.Err = stateOf(r.Reason), err.Error(), err
	if r.Reason == v1alpha1.NodeReasonInterrupted {
		r.Message = "interrupted, to be continued by the next run: " + r.Message
	}
	r.Digest = ""
}

// Error is a failure with a reason.
type Error struct {
	ReasonCode string
	Err        error
}

// Error is the cause's message.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// Reason is one of the reasons of v1alpha1.NodeMap.
func (e *Error) Reason() string { return e.ReasonCode }

// newReport is the report of a revision of which nothing is known yet.
func newReport(rev *revision.Revision) Report {
	return Report{Key: rev.Key, UID: rev.UID, Revision: rev.Name}
}

// failure is the report of a map that couldn't be observed.
func failure(rev *revision.Revision, err error) Report {
	r := newReport(rev)
	r.Fail(err)
	return r
}
