// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
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

// Base is the map that a plan works on.
type Base int

// The bases.
const (
	// BaseNone: nothing is worked on, the plan stalls.
	BaseNone Base = iota
	// BaseNew: a new map.
	BaseNew
	// BasePinned: the map at the pin.
	BasePinned
	// BaseKeepAlive: the map behind our own pin.
	BaseKeepAlive
)

// Plan is what is to be done.
type Plan struct {
	Key    revision.Key
	Action Action
	// Base is the map that is worked on. While a map is replaced that is a new one.
	Base Base
	// Reason and Message say why a plan stalls: a reason of v1alpha1.NodeMap and a sentence.
	Reason, Message string
	// Layouts are those of the spec and of the map side by side, of a plan that stalls because they differ.
	Layouts string
	// Unverified says of a map that is adopted why its layout wasn't compared, and Suspicion what is odd about its
	// elements; empty for nothing.
	Unverified, Suspicion string
	// Adoption is what taking over a map of somebody else changes, of a plan that does so or stalls because it may not;
	// nil for others.
	Adoption *Adoption
	// Differences are the properties that can't be changed in place.
	Differences []revision.Difference
	// Drift is why a plan repairs or reports; empty otherwise.
	Drift DriftKind
	// Changes are the changes of the contents. A new map gets all entries.
	Changes Changes
	// Deferred is how many entries that an LRU map has evicted aren't among the changes: later resyncs write
	// them.
	Deferred int
	// DeleteFirst says that the map has no room for new elements before others are deleted.
	DeleteFirst bool
	// CarryOver says that the new map gets the elements of the replaced one which are not ours.
	CarryOver bool
	// CarryValues says that the new map gets what programs wrote into the declared entries of the replaced one, as far
	// as they own it.
	CarryValues bool
	// StartsAnew says what programs own and can't be taken from the replaced map, and why; empty for nothing.
	StartsAnew string
	// LeftOut is how many declared entries are not written: only a new map gets them.
	LeftOut int
	// Abandons says that elements which programs and processes put into the replaced map stay there.
	Abandons bool
	// Freeze says that the map is to be frozen at the end.
	Freeze bool
	// Pin says that the pin is to be made or its mode and owner set.
	Pin bool
}

// LeavesOut says what isn't written of what is declared; empty for nothing.
func (p *Plan) LeavesOut() string { return LeavesOut(p.LeftOut) }

// LeavesOut says that declared entries weren't written; empty for none.
func LeavesOut(entries int) string {
	if entries == 0 {
		return ""
	}
	return text.Count(entries, "entry is", "entries are") + " not written: a map of this type gets its entries only when it is made (with replacePolicy: Swap, another maxEntries makes a new one)"
}

// IsEmpty says that there is nothing to do.
func (p *Plan) IsEmpty() bool { return p.Action == None }

// Writes says whether the plan changes the map or makes one.
func (p *Plan) Writes() bool { return p.Action != None && p.Action != Report && p.Action != Stall }
