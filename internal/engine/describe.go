// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// describe says how a map is from what was observed, planned and done. It is pure.
func describe(o *Observation, p *plan.Plan, out *Outcome) Report {
	r := newReport(o.rev)
	r.Plan, r.PinPath = *p, o.pinPath
	after := &out.after
	r.MapID, r.Frozen, r.MemlockBytes = after.info.ID, after.info.Frozen, after.info.MemlockBytes
	r.Entries, r.Replaced = after.entries, after.replaced
	r.SchemaVerified = o.verified(p)
	for _, rec := range []*Record{o.record, out.record} {
		if rec != nil {
			r.DriftCount, r.Origin = rec.DriftCount, rec.OriginOf(r.MapID).By
			r.Shared = sharedOf(o, rec)
		}
	}
	if p.Drift != "" && p.Action != plan.Stall {
		r.Drift = &Drift{
			Kind: p.Drift, Summary: driftSummary(p), Repaired: p.Writes() && out.err == nil && !p.Changes.Keeps(),
			Overwritten: p.Changes.Overwritten, Count: driftedCount(p),
		}
		r.Drift.Entries, r.Drift.Changes = driftedEntries(o, p)
	}
	switch {
	case p.Action == plan.Stall:
		r.Fail(&Error{p.Reason, errors.New(p.Message)})
		return r
	case out.err != nil:
		r.Fail(out.err)
		return r
	}
	r.State, r.Reason, r.Digest = v1alpha1.NodeMapReady, v1alpha1.NodeReasonInSync, o.rev.Digest
	r.Action = actionOf(p.Action)
	if p.Action == plan.Report || p.Changes.Keeps() {
		r.Reason, r.Message, r.Digest = v1alpha1.NodeReasonDrifted, r.Drift.Summary, ""
	}
	r.Message += out.note
	for _, note := range []string{p.Unverified, p.Suspicion, p.LeavesOut(), r.tellMissing(o), tellBlind(o, p), r.tellShared()} {
		if note != "" {
			r.Message = strings.TrimPrefix(r.Message+"; "+note, "; ")
		}
	}
	r.tellPending(o)
	return r
}

// sharedOf tells how values with two owners are written; nil for others.
func sharedOf(o *Observation, rec *Record) *Shared {
	if o.mask == nil {
		return nil
	}
	cpus := 1
	if o.rev.Shape.IsPerCPU() {
		cpus = o.contents.cpus
	}
	return &Shared{Declared: o.mask.Declares() / cpus, Bytes: int(o.rev.Shape.ValueSize), Way: StoreWay(rec.Stored)}
}

// tellShared says what programs may lose; empty for nothing.
func (r *Report) tellShared() string {
	if r.Shared == nil || r.Shared.Way != StoredByReadModifyWrite {
		return ""
	}
	return fmt.Sprintf("the %d declared of the %d bytes of a value are written by reading and writing whole values: what programs write between the two is lost",
		r.Shared.Declared, r.Shared.Bytes)
}

// tellMissing says of a seeded map that it holds less than is declared; empty if that isn't known.
func (r *Report) tellMissing(o *Observation) string {
	if !o.seeds() || r.Entries == nil {
		return ""
	}
	missing := int64(o.contents.Len()) - *r.Entries
	if missing <= 0 {
		return ""
	}
	return fmt.Sprintf("at least %d of %s not in the map any more: what was put in once isn't put in again", missing, text.Count(o.contents.Len(), "entry is", "entries are"))
}

// tellBlind says that others' changes weren't told from those of the revision; empty if they were.
func tellBlind(o *Observation, p *plan.Plan) string {
	if !o.blind || p.Changes.Updates() == 0 && p.Changes.Deletes() == 0 {
		return ""
	}
	return "what others changed before this revision is not known, and was overwritten where it differs from what is declared"
}

// maxWaits bounds the names in a message.
const maxWaits = 5

// tellPending says of a map that is as far as it can be what its pending entries wait for.
func (r *Report) tellPending(o *Observation) {
	c := o.contents
	if c.waiting == 0 {
		return
	}
	waits := c.waits[:min(len(c.waits), maxWaits)]
	message := fmt.Sprintf("%d of %d entries pending: %s", c.waiting, c.from.Len, strings.Join(waits, ", "))
	if more := len(c.waits) - len(waits); more > 0 {
		message += fmt.Sprintf(", and %d more", more)
	}
	if r.Message != "" {
		message += "; " + r.Message
	}
	r.State, r.Reason, r.Message, r.Digest = v1alpha1.NodeMapPending, v1alpha1.NodeReasonReferenceNotFound, message, ""
}

func actionOf(a plan.Action) Action {
	switch a {
	case plan.Create:
		return ActionCreated
	case plan.Adopt:
		return ActionAdopted
	case plan.Update:
		return ActionUpdated
	case plan.Replace:
		return ActionReplaced
	case plan.Repair:
		return ActionRepaired
	}
	return ActionNone
}

// driftSummary is drift for people.
func driftSummary(p *plan.Plan) string {
	switch p.Drift {
	case plan.DriftPinRemoved:
		return "the pin was removed; the map is still there"
	case plan.DriftMapGone:
		return "the map and its pin were removed"
	case plan.DriftPinReplaced:
		return "another map took the pin"
	case plan.DriftUnfrozen:
		return "the map is not frozen"
	case plan.DriftFrozen:
		return "the map is frozen"
	case plan.DriftPinMode:
		return "mode or owner of the pin changed"
	}
	if p.Changes.Kept == nil {
		return p.Changes.Summary()
	}
	var parts []string
	if p.Changes.Keeps() {
		parts = append(parts, p.Changes.Kept.Summary())
	}
	if n := p.Changes.Overwritten; n > 0 {
		parts = append(parts, text.Count(n, "entry", "entries")+" changed by others and then by the new revision")
	}
	return strings.Join(parts, "; ")
}
