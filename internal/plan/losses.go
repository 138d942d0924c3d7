// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// weighLosses checks that nothing is lost with a map that is replaced, or whose pin moves to where another
// map is.
func (d *decision) weighLosses() (ends bool) {
	switch d.plan.Action {
	case Replace:
		return d.weighReplacement()
	case Adopt:
		return d.weighMove()
	}
	return false
}

// Replaced is the map that a new one takes the pin of.
func (o *Observed) Replaced() (*Map, Base) {
	if o.Pinned != nil {
		return o.Pinned, BasePinned
	}
	return o.KeepAlive, BaseKeepAlive
}

// weighReplacement lets a new map take the pin if elements that the policy doesn't own fit into it as they
// are, and so do those that are pending. Mirror owns everything else.
func (d *decision) weighReplacement() (ends bool) {
	old, of := d.have.Replaced()
	want := d.want.Revision
	if rec := d.have.Recorded; old.Adopted && of == BaseKeepAlive && rec.PinPath != want.Pin.Path {
		return d.stall(v1alpha1.NodeReasonIncompatible, fmt.Sprintf(
			"map %d at pin %s was made by somebody else and can't be replaced by a new one at %s: delete this BPFMap, which gives that map back, and create it anew",
			old.ID, rec.PinPath, want.Pin.Path))
	}
	d.weighValues(old)
	if want.Discards(old.Adopted) && !d.hasPending() {
		return false
	}
	refuse := func(why string) bool {
		way := "set syncPolicy: Mirror"
		if old.Adopted {
			way += " and adoptionPolicy: AdoptAndDiscard"
		}
		return d.stall(v1alpha1.NodeReasonIncompatible, fmt.Sprintf(
			"map %d can't be replaced without losing contents: %s (%s to discard them)", old.ID, why, way))
	}
	if want.Policy.Sync == v1alpha1.SyncMirror && old.Adopted && !want.Discards(true) {
		switch {
		case d.have.Losses == nil:
			return d.ask(Need{NeedLosses, of})
		case d.have.Losses.Elements > 0:
			return d.stall(v1alpha1.NodeReasonAdoptionNotAllowed, d.wouldDiscard(d.have.Losses.Elements))
		}
	}
	switch {
	case old.Shape.IsFilledAtRuntime() || old.Shape.IsBloom() && want.Shape.IsBloom():
		d.plan.Abandons = true
		return false
	case old.Shape.IsHidden() || want.Shape.IsHidden() || want.Shape.IsFilledAtRuntime():
		return refuse("elements of a " + string(old.Shape.Type) + " can't be moved")
	}
	why := whyNot(old.Shape, want.Shape, d.want.CPUs)
	if why == "" && d.have.Fit != nil && d.have.Fit.Misfit != "" {
		why = "have another layout"
	}
	if why == "" && !want.Shape.IsIndexed() {
		d.plan.CarryOver = true
		return false
	}
	losses := d.have.Losses
	switch {
	case losses == nil:
		return d.ask(Need{NeedLosses, of})
	case why == "" && losses.NoPlace != nil:
		return refuse(NoPlace(*losses.NoPlace, want.Shape))
	case why == "":
		d.plan.CarryOver = true
	case losses.Elements > 0:
		return refuse(fmt.Sprintf("undeclared or pending elements (%d in all) %s", losses.Elements, why))
	}
	return false
}

// weighValues decides whether what programs wrote into declared entries goes with them into the new map. Where it can't,
// it starts anew: that is told, and no reason not to replace the map. Seeded entries go as they are.
func (d *decision) weighValues(old *Map) {
	want, rec := d.want.Revision, d.have.Recorded
	if d.want.Mask == nil || want.Policy.Sync == v1alpha1.SyncSeed {
		return
	}
	why := ""
	switch {
	case old.Shape.IsHidden() || old.Shape.IsFilledAtRuntime() || holdsObjects(old.Shape):
		why = "the map before is a " + string(old.Shape.Type)
	case old.Shape.KeySize != want.Shape.KeySize || old.Shape.IsLPM() != want.Shape.IsLPM() || rec != nil && rec.OtherKeys:
		why = "keys have another layout"
	case old.Shape.IsPerCPU() != want.Shape.IsPerCPU():
		why = "one of the two maps has a value for each CPU"
	}
	switch {
	case why != "":
		d.plan.StartsAnew = "what programs wrote into declared entries starts anew: " + why
		return
	case rec != nil && slices.Contains(rec.Lost, ""):
		d.plan.StartsAnew = "what programs wrote into declared entries starts anew: values have another layout"
		return
	case rec != nil && len(rec.Lost) > 0:
		d.plan.StartsAnew = strings.Join(rec.Lost, ", ") + " in declared entries starts anew: the map before has no such field of that type"
	}
	d.plan.CarryValues = true
}

// weighMove lets a pin move onto another map if our own one, which would be given up for that, holds nothing
// that isn't declared. Mirror owns everything.
func (d *decision) weighMove() (ends bool) {
	rec, ours, rev := d.have.Recorded, d.have.KeepAlive, d.want.Revision
	if rec == nil || rec.PinPath == rev.Pin.Path || ours == nil || !rec.Owns(ours.ID) || rev.Policy.Sync == v1alpha1.SyncMirror && !ours.Adopted {
		return false
	}
	if ours.Adopted {
		return d.stall(v1alpha1.NodeReasonPinConflict, fmt.Sprintf(
			"pin %s is already taken by unmanaged map %d; moving there would abandon map %d (currently at %s), which was made by somebody else: delete this BPFMap, which gives that map back, and create it anew, or remove the pin of map %d",
			rev.Pin.Path, d.base.ID, ours.ID, rec.PinPath, d.base.ID))
	}
	holds := "its elements cannot be listed"
	if !ours.Shape.IsHidden() {
		if d.have.Losses == nil {
			return d.ask(Need{NeedLosses, BaseKeepAlive})
		}
		switch losses := d.have.Losses; {
		case losses.Elements == 0 && losses.Values == 0:
			return false
		case losses.Elements == 0:
			holds = "it holds what programs wrote into " + text.Count(losses.Values, "declared entry", "declared entries")
		default:
			holds = "it holds " + text.Count(losses.Elements, "undeclared element", "undeclared elements")
		}
	}
	return d.stall(v1alpha1.NodeReasonPinConflict, fmt.Sprintf(
		"pin %s is already taken by unmanaged map %d; moving there would abandon managed map %d (currently at %s): %s (remove one of the pins, or set syncPolicy: Mirror to discard them)",
		rev.Pin.Path, d.base.ID, ours.ID, rec.PinPath, holds))
}

// hasPending says whether any entry is pending.
func (d *decision) hasPending() bool {
	for i := range d.want.Contents.Len() {
		if d.want.Contents.IsPending(i) {
			return true
		}
	}
	return false
}

// NoPlace says that an element of others has an index which the new map doesn't have.
func NoPlace(index uint32, shape revision.Shape) string {
	return fmt.Sprintf("element %d is not declared and has no place in the new map of maxEntries %d", index, shape.MaxEntries)
}

// whyNot says why elements of one map can't be elements of another one; empty if they can.
func whyNot(have, want revision.Shape, cpus int) string {
	switch {
	case holdsObjects(have):
		return "hold objects of others"
	case have.KeySize != want.KeySize || have.IsLPM() != want.IsLPM() || Stride(have, cpus) != Stride(want, cpus):
		return "have other sizes"
	case want.TakesFDs() && have.Type != want.Type && (!isDevMap(have) || !isDevMap(want)):
		return "are not " + string(want.Type) + " elements"
	}
	return ""
}

// holdsObjects says whether values are maps or programs, which can't be opened by the ids that are read:
// alone, or, in device and CPU maps with values of 8 bytes, behind a number.
func holdsObjects(s revision.Shape) bool {
	withProgram := (isDevMap(s) || s.Type == v1alpha1.MapTypeCPUMap) && s.ValueSize == 8
	return s.IsMapOfMaps() || s.Type == v1alpha1.MapTypeProgArray || withProgram
}

// Stride is how many bytes one value of a shape takes on a node: in per-CPU maps a slot for each possible
// CPU, rounded up to 8 bytes.
func Stride(s revision.Shape, cpus int) int {
	if s.IsPerCPU() {
		return cpus * ((int(s.ValueSize) + 7) &^ 7)
	}
	return int(s.ValueSize)
}
