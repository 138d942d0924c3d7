// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Action is what a plan does as a whole.
type Action string

// The actions.
const (
	// None: everything is as declared.
	None Action = ""
	// Create: there is nothing at the pin; a new map is made.
	Create Action = "create"
	// Adopt: a compatible map of nobody is at the pin and is taken over with its contents.
	Adopt Action = "adopt"
	// Update: our map gets what a new revision declares.
	Update Action = "update"
	// Repair: our map drifted and is put back.
	Repair Action = "repair"
	// Report: our map drifted, and the policy is to change nothing.
	Report Action = "report"
	// Replace: our map can't become what is declared, and a new one takes its pin.
	Replace Action = "replace"
	// Stall: nothing can be done without people.
	Stall Action = "stall"
)

// DriftKind is what drifted.
type DriftKind string

// The kinds of drift.
const (
	// DriftContents: elements changed.
	DriftContents DriftKind = "Contents"
	// DriftPinRemoved: the pin is gone; the map isn't.
	DriftPinRemoved DriftKind = "PinRemoved"
	// DriftMapGone: pin and map are gone.
	DriftMapGone DriftKind = "MapGone"
	// DriftPinReplaced: another map is at the pin.
	DriftPinReplaced DriftKind = "PinReplaced"
	// DriftUnfrozen: the map at the pin isn't frozen and should be.
	DriftUnfrozen DriftKind = "Unfrozen"
	// DriftFrozen: others froze the map at the pin.
	DriftFrozen DriftKind = "Frozen"
	// DriftPinMode: the pin's mode or owner changed.
	DriftPinMode DriftKind = "PinMode"
)

// Want is what a revision asks of this node.
type Want struct {
	Revision *revision.Revision
	// Fingerprint is Revision.Fingerprint().
	Fingerprint string
}

// Have is what the node's kernel holds.
type Have struct {
	// Pinned is the map at the pin, nil if there is none.
	Pinned *Observed
	// Kept is the map behind our second pin, nil if there is none. It is the map at the pin unless
	// somebody removed or replaced that.
	Kept *Observed
	// Recorded is what our record says, nil if there is none.
	Recorded *Recorded
	// ElsewhereOwner is the BPFMap whose record names this pin, PinnedOwner the one whose record names the
	// map at it; empty if there is none but ours.
	ElsewhereOwner, PinnedOwner string
	// PinDiffers says that mode or owner of the pin aren't as declared.
	PinDiffers bool
}

// Observed is one map in the kernel.
type Observed struct {
	ID     uint32
	Shape  revision.Shape
	Frozen bool
}

// Recorded is what matters here of the ownership record.
type Recorded struct {
	// MapID is our map; PreviousMapID the one that it is about to replace.
	MapID, PreviousMapID uint32
	// Applied is the fingerprint of what was applied completely; empty while work is going on.
	Applied string
	// PinPath is where the map was pinned.
	PinPath string
}

// Owns says whether the record names the map. No record names none.
func (r *Recorded) Owns(id uint32) bool {
	return r != nil && (id == r.MapID || (r.PreviousMapID != 0 && id == r.PreviousMapID))
}

// Plan is what is to be done.
type Plan struct {
	Key    revision.Key
	Action Action
	// Reason and Message say why a plan stalls: a reason of v1alpha1.NodeMap and a sentence.
	Reason, Message string
	// Differences are the properties that can't be changed in place.
	Differences []revision.Difference
	// Drift is why a plan repairs or reports; empty otherwise.
	Drift DriftKind
	// Changes are the changes of the contents.
	Changes Changes
	// Freeze says that the map is to be frozen at the end.
	Freeze bool
	// Pin says that the pin is to be made or its mode and owner set.
	Pin bool
}

// IsEmpty says that there is nothing to do.
func (p *Plan) IsEmpty() bool { return p.Action == None }

func (p *Plan) stall(reason, message string, differences []revision.Difference) Plan {
	return Plan{Key: p.Key, Action: Stall, Reason: reason, Message: message, Differences: differences, Drift: p.Drift}
}

// stallReason is the reason for a list of differences.
func stallReason(differences []revision.Difference) string {
	for _, d := range differences {
		if d.Field == fieldFrozen {
			return v1alpha1.NodeReasonFrozen
		}
	}
	return v1alpha1.NodeReasonIncompatible
}
