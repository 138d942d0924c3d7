// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// fieldFrozen is the Difference that only a new map can settle.
const fieldFrozen = "frozen"

// decision is a plan that is being made.
type decision struct {
	want *DesiredMap
	have *Observed
	// base is the map that was found to work on, nil for none; ours says that it is already managed.
	base *Map
	ours bool

	plan Plan
	need Need
	// forbidden says why the plan may not be carried out on a map of somebody else; empty if it may.
	forbidden string
}

// Decide makes the plan for one map, or says what has to be observed first. Every decision about a map is
// made here, from its arguments alone: who adds what is needed to have and calls again gets the plan in the
// end. Nothing is asked for twice.
func Decide(want *DesiredMap, have *Observed) (Plan, Need) {
	d := &decision{want: want, have: have, plan: Plan{Key: want.Revision.Key}}
	for _, step := range []func() (ends bool){d.checkOwners, d.chooseBase, d.checkLayout, d.checkAdoption, d.compareContents, d.checkDiscards, d.weighLosses, d.reserveMemory} {
		if step() {
			break
		}
	}
	if d.need.What == NeedNothing {
		d.forbid()
	}
	return d.plan, d.need
}

// ask ends a decision until the answer is there.
func (d *decision) ask(n Need) (ends bool) {
	d.need = n
	return true
}

// stall ends a decision: nothing can be done without people.
func (d *decision) stall(reason, message string) (ends bool) {
	p := &d.plan
	*p = Plan{Key: p.Key, Action: Stall, Reason: reason, Message: message, Differences: p.Differences, Drift: p.Drift}
	return true
}

// checkOwners leaves what another BPFMap owns alone: a hard link or another pin does not make the map of
// another BPFMap ours. A pin that was ours, with our map or none at it, still is.
func (d *decision) checkOwners() (ends bool) {
	rec, pinned, pin := d.have.Recorded, d.have.Pinned, d.want.Revision.Pin.Path
	if rec != nil && rec.PinPath == pin && (pinned == nil || rec.Owns(pinned.ID)) {
		return false
	}
	switch owners := d.have.Owners; {
	case owners == nil:
		return d.ask(Need{What: NeedOwners})
	case owners.OfPin != "":
		return d.stall(v1alpha1.NodeReasonPinConflict, fmt.Sprintf("pin %s belongs to BPFMap %s: set another spec.pin.path, or delete that BPFMap first", pin, owners.OfPin))
	case owners.OfMap != "":
		return d.stall(v1alpha1.NodeReasonPinConflict, fmt.Sprintf("map %d at the pin belongs to BPFMap %s: set another spec.pin.path, or delete that BPFMap first", pinned.ID, owners.OfMap))
	}
	return false
}

// chooseBase decides which map to work on, before anybody reads contents.
func (d *decision) chooseBase() (ends bool) {
	rec, pinned, keepAlive := d.have.Recorded, d.have.Pinned, d.have.KeepAlive
	switch {
	case pinned != nil && rec != nil && !rec.Owns(pinned.ID):
		d.drift(DriftPinReplaced)
		return d.take(BasePinned, pinned, false)
	case pinned != nil:
		return d.take(BasePinned, pinned, rec != nil)
	case rec != nil && keepAlive != nil && rec.Owns(keepAlive.ID):
		if rec.PinPath == d.want.Revision.Pin.Path {
			d.drift(DriftPinRemoved)
		}
		return d.take(BaseKeepAlive, keepAlive, true)
	}
	d.drift(DriftMapGone)
	d.plan.Base, d.plan.Action = BaseNew, Create
	return false
}

// applied says whether exactly this was applied completely before: whatever differs now is drift.
func (d *decision) applied() bool {
	rec := d.have.Recorded
	return rec != nil && rec.Applied != "" && rec.Applied == d.want.Fingerprint
}

// drift notes the first kind of drift that is found.
func (d *decision) drift(kind DriftKind) {
	if d.applied() && d.plan.Drift == "" {
		d.plan.Drift = kind
	}
}

// take works on an existing map if that can become what is declared.
func (d *decision) take(base Base, m *Map, ours bool) (ends bool) {
	d.base, d.ours = m, ours
	differences := d.want.Revision.Shape.Differences(m.Shape)
	if m.Frozen && !d.want.Revision.Policy.Freeze {
		d.drift(DriftFrozen)
		differences = append(differences, revision.Difference{Field: fieldFrozen, Have: "true", Want: "false"})
	}
	differences = append(differences, d.innerDifferences(m)...)
	differences = append(differences, d.exclusiveDifferences(m)...)
	if len(differences) > 0 {
		return d.replace(differences)
	}
	d.plan.Base = base
	if !ours {
		d.plan.Action = Adopt
	}
	return false
}

// checkLayout leaves a map alone whose programs would read something else than is declared.
func (d *decision) checkLayout() (ends bool) {
	p, rec := &d.plan, d.have.Recorded
	if p.Base == BaseNew || rec != nil && rec.Checked && rec.MapID == d.base.ID {
		return false
	}
	switch fit := d.have.Fit; {
	case fit == nil:
		return d.ask(Need{NeedFit, p.Base})
	case fit.Misfit == "":
		if !d.ours {
			p.Unverified, p.Suspicion = fit.Unverified(), fit.Suspicion
		}
		return false
	case d.ours && d.want.Revision.Policy.Replace == v1alpha1.ReplaceSwap:
		return d.replace([]revision.Difference{{Field: "layout", Have: fit.Misfit, Want: "as declared"}})
	default:
		why, way := "it is not touched", "; declare the layout of its programs (bpfmap generate writes it), or load programs with the declared one"
		if d.ours {
			why, way = replaceNever, ""
		}
		d.stall(v1alpha1.NodeReasonSchemaMismatch, fmt.Sprintf("map %d at the pin has another layout than the spec: %s: %s%s", d.base.ID, why, fit.Misfit, way))
		p.Layouts = fit.Layouts
		return true
	}
}

// replaceNever is why our own map stays as it is, and the way out.
const replaceNever = "replacePolicy is Never (with Swap, a new map takes the pin)"

// replace makes a new map if that is allowed: only our own maps are ever replaced.
func (d *decision) replace(differences []revision.Difference) (ends bool) {
	d.plan.Differences = differences
	if d.ours && d.want.Revision.Policy.Replace == v1alpha1.ReplaceSwap {
		d.plan.Base, d.plan.Action = BaseNew, Replace
		return false
	}
	reason, list := v1alpha1.NodeReasonIncompatible, make([]string, len(differences))
	for i, difference := range differences {
		list[i] = difference.String()
		if difference.Field == fieldFrozen {
			reason = v1alpha1.NodeReasonFrozen
		}
	}
	why := "it was not made by this operator and is not touched"
	if d.ours {
		why = replaceNever
	}
	return d.stall(reason, fmt.Sprintf("map %d at the pin is incompatible with the spec (%s): %s", d.base.ID, strings.Join(list, "; "), why))
}

// compareContents finds what is to be written. A new map gets everything.
func (d *decision) compareContents() (ends bool) {
	p, policy := &d.plan, d.want.Revision.Policy
	if p.Base == BaseNew {
		p.Changes, p.Freeze, p.Pin = Fill(d.want.contents(nil)), policy.Freeze, true
		return d.judge()
	}
	p.LeftOut = d.leftOut()
	if d.have.Changes != nil {
		p.Changes = *d.have.Changes
	} else if need := d.howToCompare(); need.What != NeedNothing {
		return d.ask(need)
	}
	if d.base.Frozen && p.Changes.Incomplete {
		p.Changes.Insert = Set{} // what was missed may well be there, and can't be written anyway
	}
	if d.base.Frozen && !p.Changes.IsEmpty() {
		return d.replaceFrozen()
	}
	d.deferEvicted()
	p.Freeze = policy.Freeze && !d.base.Frozen
	p.Pin = p.Base == BaseKeepAlive || d.pinDiffers()
	p.DeleteFirst = takesNoMore(&p.Changes, d.want.Revision.Shape)
	if p.Freeze {
		d.drift(DriftUnfrozen)
	}
	if d.contentsDrifted() {
		d.drift(DriftContents)
	}
	if d.pinDiffers() {
		d.drift(DriftPinMode)
	}
	if !d.applied() && (p.Changes.Keeps() || p.Changes.Overwritten > 0) {
		p.Drift = DriftContents // found by the way to a new revision
	}
	if p.Action == None && (!d.applied() || p.Drift == "" && !p.Changes.IsEmpty()) {
		p.Action = Update
	}
	return d.judge()
}

// pinDiffers says that mode or owner of the pin aren't as they are to be.
func (d *decision) pinDiffers() bool {
	return d.have.Pinned != nil && !d.have.Found.SameOwner(d.want.Pin)
}

// isSeeded says whether the entries of this revision were put into the map that is worked on.
func (d *decision) isSeeded() bool {
	return d.want.Revision.Policy.Sync == v1alpha1.SyncSeed && d.applied() && d.have.Recorded.MapID == d.base.ID
}

// isUnasked says that a map isn't looked into before it is seeded: nothing is to be put in, or nobody can tell what is
// there.
func (d *decision) isUnasked() bool {
	shape := d.want.Revision.Shape
	return d.want.Contents.Len() == 0 || shape.IsFilledAtRuntime() || shape.IsHidden() && !shape.IsBloom()
}

// leftOut is how many entries aren't written because the map exists already, and nobody can tell what it lacks.
func (d *decision) leftOut() int {
	shape, rec, rev := d.want.Revision.Shape, d.have.Recorded, d.want.Revision
	switch {
	case rev.Policy.Sync != v1alpha1.SyncSeed || !shape.IsHidden() || shape.IsBloom() || shape.IsFilledAtRuntime():
		return 0
	case d.isSeeded() || rec != nil && rec.MapID == d.base.ID && rec.Digest == rev.Digest:
		return rec.LeftOut
	}
	return d.want.Contents.Len()
}

// howToCompare says how the contents of the base are compared: what was seeded is nobody's business any more, and what
// this process wrote needs not be read again. Of maps that nobody can list, what is declared is asked for,
// or written again with each change.
func (d *decision) howToCompare() Need {
	shape, of := d.want.Revision.Shape, d.plan.Base
	switch {
	case d.have.follows(d.base, d.want):
		return Need{NeedDifference, of}
	case d.isSeeded() || d.want.Revision.Policy.Sync == v1alpha1.SyncSeed && d.isUnasked():
		return Need{}
	case shape.IsBloom():
		return Need{NeedQuestions, of}
	case shape.IsHidden() && d.have.vouches(d.base, d.want):
		return Need{}
	case shape.IsHidden():
		return Need{NeedBlindWrite, of}
	}
	return Need{NeedComparison, of}
}

// replaceFrozen lets a new map take the place of a frozen one with other contents.
func (d *decision) replaceFrozen() (ends bool) {
	changes := d.plan.Changes
	ends = d.replace([]revision.Difference{{Field: fieldFrozen, Have: "true", Want: "other contents: " + changes.Summary()}})
	d.plan.Changes = changes
	if ends {
		return true
	}
	d.drift(DriftContents)
	d.plan.Changes.keepNothing()
	if d.plan.Changes.Overwritten > 0 {
		d.plan.Drift = DriftContents
	}
	d.plan.Freeze, d.plan.Pin = d.want.Revision.Policy.Freeze, true
	return d.judge()
}

// contentsDrifted says whether changes at an applied revision mean that somebody changed the map. An
// LRU map evicts by itself, and a reading that may have missed elements proves nothing.
func (d *decision) contentsDrifted() bool {
	c := &d.plan.Changes
	onlyInserts := c.Updates() == 0 && len(c.Delete) == 0
	if onlyInserts && (c.Incomplete || d.want.Revision.Shape.IsLRU()) {
		return false
	}
	return !c.IsEmpty()
}

// judge turns work that drift caused into a repair or a report.
func (d *decision) judge() (ends bool) {
	p := &d.plan
	switch {
	case p.Drift == "" || !d.applied():
	case d.want.Revision.Policy.Drift == v1alpha1.DriftReport:
		p.Action = Report
	case p.Action == None || p.Action == Update || p.Action == Create:
		p.Action = Repair
	}
	return false
}

// reserveMemory stalls a plan that takes more kernel memory than is granted.
func (d *decision) reserveMemory() (ends bool) {
	if !d.plan.Writes() {
		return true
	}
	switch memory := d.have.Memory; {
	case memory == nil:
		return d.ask(Need{What: NeedMemory})
	case memory.Refusal != "":
		return d.stall(v1alpha1.NodeReasonQuotaExceeded, memory.Refusal)
	}
	return true
}
