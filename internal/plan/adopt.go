// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// Adoption is what taking over a map of somebody else changes, or would change.
type Adoption struct {
	MapID uint32
	// Stay is how many elements nobody declared that stay as they are, Discard how many of them are deleted.
	Stay, Discard int
	// Pin is how mode and owner of the pin change, for people; empty if they stay.
	Pin string
}

// checkAdoption leaves a map of somebody else alone where taking it over isn't allowed. For people who ask, the plan
// says what that would do.
func (d *decision) checkAdoption() (ends bool) {
	isReported := d.applied() && d.plan.Drift != "" && d.want.Revision.Policy.Drift == v1alpha1.DriftReport
	if d.plan.Action != Adopt || isReported || d.want.Revision.Adoption() != v1alpha1.AdoptionNever {
		return false
	}
	rev, said := d.want.Revision, "adoptionPolicy is Never"
	if rev.Policy.Adoption == "" {
		said += " where it is not set and the pin is outside " + rev.Key.OwnDirectory()
	}
	what := fmt.Sprintf("map %d at pin %s was made by somebody else", d.base.ID, rev.Pin.Path)
	if d.plan.Drift == DriftPinReplaced {
		what = fmt.Sprintf("map %d, made by somebody else, took the pin %s of managed map %d, which is kept", d.base.ID, rev.Pin.Path, d.have.Recorded.MapID)
	}
	d.forbidden = fmt.Sprintf("%s, and %s: set spec.adoptionPolicy: Adopt to take it over with its contents, or another spec.pin.path, or remove the pin", what, said)
	if d.want.Explain {
		return false
	}
	return d.stall(v1alpha1.NodeReasonAdoptionNotAllowed, d.forbidden)
}

// isAdopted says whether the map that is worked on was made by somebody else, as far as that is known.
func (d *decision) isAdopted() bool { return d.base != nil && (!d.ours || d.base.Adopted) }

// checkDiscards leaves an adopted map alone that Mirror would empty of what others put into it, unless the adoption
// policy says so.
func (d *decision) checkDiscards() (ends bool) {
	p, rev := &d.plan, d.want.Revision
	if p.Action == Adopt {
		p.Adoption = &Adoption{MapID: d.base.ID, Stay: p.Changes.Foreign, Discard: p.Changes.Discards}
		if d.have.Pinned != nil {
			p.Adoption.Pin = d.have.Found.OwnerChanges(d.want.Pin)
		}
	}
	if !p.Writes() || p.Changes.Discards == 0 || !d.isAdopted() || rev.Discards(true) {
		return false
	}
	if d.forbidden == "" {
		d.forbidden = d.wouldDiscard(p.Changes.Discards)
	}
	return false
}

func (d *decision) wouldDiscard(elements int) string {
	return fmt.Sprintf("map %d at pin %s was made by somebody else and holds %s, which syncPolicy: Mirror would delete: set adoptionPolicy: AdoptAndDiscard to let it, or syncPolicy: Merge to leave them",
		d.base.ID, d.want.Revision.Pin.Path, text.Count(elements, "undeclared element", "undeclared elements"))
}

// forbid ends a decision on a map of somebody else that isn't allowed, with what it would have done.
func (d *decision) forbid() {
	p := &d.plan
	if d.forbidden == "" || !p.Writes() {
		return
	}
	*p = Plan{
		Key: p.Key, Action: Stall, Reason: v1alpha1.NodeReasonAdoptionNotAllowed, Message: d.forbidden,
		Drift: p.Drift, Changes: p.Changes, Adoption: p.Adoption, Unverified: p.Unverified, Suspicion: p.Suspicion,
	}
}

// lines tell of an adoption.
func (a *Adoption) lines(line func(format string, args ...any)) {
	for _, n := range []struct {
		count int
		what  string
	}{{a.Stay, "keeps"}, {a.Discard, "loses"}} {
		if n.count > 0 {
			line("map %d %s %s of others", a.MapID, n.what, text.Count(n.count, "element", "elements"))
		}
	}
	if a.Pin != "" {
		line("pin: %s", a.Pin)
	}
}
