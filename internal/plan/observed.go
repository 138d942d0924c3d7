// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// DesiredMap is what a revision asks of this node.
type DesiredMap struct {
	Revision *revision.Revision
	// Fingerprint tells two desired maps apart: it is that of the revision, and of what its names stand for
	// here.
	Fingerprint string
	// Resolved tells what the names stand for.
	Resolved string
	Contents Contents
	// Pin is the pin that the map is to have: at a map of somebody else mode and owner are those that were found, where
	// the revision doesn't state others.
	Pin revision.Pin
	// Explain says that people ask what would be done if it were allowed.
	Explain bool
	// Mask are the declared bits of a value; nil if programs own none.
	Mask Mask
	// CPUs is how many values an element of a per-CPU map has.
	CPUs int
}

// Contents of d as a whole: owned are the keys that earlier revisions declared in the same map.
func (d *DesiredMap) contents(owned Keys) DesiredContents {
	return DesiredContents{Contents: d.Contents, Shape: d.Revision.Shape, Sync: d.Revision.Policy.Sync, Mask: d.Mask, Owned: owned}
}

// Observed is what the node shows. Of what costs much to find out, Decide asks for what it needs; until then
// it is nil.
type Observed struct {
	// Pinned is the map at the pin, nil if there is none.
	Pinned *Map
	// KeepAlive is the map behind our own pin, nil if there is none. It is the map at the pin unless somebody
	// removed or replaced that.
	KeepAlive *Map
	// Found is the pin with its mode and owner as they are; zero if nothing is pinned there.
	Found revision.Pin
	// Recorded is what our record says, nil if there is none.
	Recorded *Recorded
	// Last is what this process brought to the map last, nil if it doesn't know.
	Last *Applied

	// Owners answers NeedOwners.
	Owners *Owners
	// Fit answers NeedFit.
	Fit *Fit
	// Changes answers NeedComparison, NeedQuestions, NeedDifference and NeedBlindWrite.
	Changes *Changes
	// Losses answers NeedLosses.
	Losses *Losses
	// Memory answers NeedMemory.
	Memory *Memory
}

// Map is one map in the kernel.
type Map struct {
	ID     uint32
	Shape  revision.Shape
	Frozen bool
	// Adopted says of a map of ours that somebody else made it.
	Adopted bool
}

// Recorded is what matters here of the ownership record.
type Recorded struct {
	// MapID is our map; PreviousMapID the one that it is about to replace.
	MapID, PreviousMapID uint32
	// Applied is the fingerprint of what was applied completely; empty while work is going on.
	Applied string
	// Digest is that of the contents, and Resolved tells what their names stood for.
	Digest, Resolved string
	// Inner is what inner maps MapID takes; nil if nobody knows.
	Inner *revision.Shape
	// Exclusive and PreviousExclusive are the hashes of the one program that MapID and PreviousMapID were made for; empty
	// for any program.
	Exclusive, PreviousExclusive string
	// PinPath is where the map was pinned.
	PinPath string
	// LeftOut is how many of the declared entries were not written.
	LeftOut int
	// OtherKeys says that keys of the map that may be replaced have another layout, and Lost are the fields that programs
	// own now and that its values don't have.
	OtherKeys bool
	Lost      []string
	// Checked says that these schemas were compared with the map's own description of key and value, or that it has
	// none.
	Checked bool
}

// Owns says whether the record names the map. No record names none.
func (r *Recorded) Owns(id uint32) bool {
	return r != nil && (id == r.MapID || (r.PreviousMapID != 0 && id == r.PreviousMapID))
}

// Applied is a desired map that was brought to the kernel.
type Applied struct {
	Fingerprint string
	MapID       uint32
	Shape       revision.Shape
	Policy      revision.Policy
}

// Fit is how the schemas of a revision fit a map's own description of key and value.
type Fit struct {
	// Verified says whether they were compared.
	Verified v1alpha1.SchemaVerification
	// Misfit is what doesn't fit, with both layouts, in one line; empty if nothing is known to. Layouts are both side
	// by side, in several.
	Misfit, Layouts string
	// Suspicion is what speaks against a map that isn't known not to fit; empty for nothing.
	Suspicion string
}

// Unverified says of a schema that wasn't compared why; empty for others.
func (f *Fit) Unverified() string {
	switch f.Verified {
	case v1alpha1.SchemaNotVerified:
		return "layout not verified: reading the map's BTF needs CAP_SYS_ADMIN"
	case v1alpha1.SchemaNoBTF:
		return "layout not verified: the map has no BTF"
	}
	return ""
}

// Owners are the other BPFMaps whose records name the pin, or the map at it; empty for none.
type Owners struct{ OfPin, OfMap string }

// Losses are what would be lost with a map that is replaced or given up.
type Losses struct {
	// Elements is how many aren't ours, or are pending.
	Elements int
	// Values is how many others hold what programs wrote and own.
	Values int
	// NoPlace is the first index of such an element beyond the new map's maxEntries; nil for none.
	NoPlace *uint32
}

// Memory says whether the kernel memory that a plan takes is granted: Refusal is empty or says why not.
type Memory struct{ Refusal string }

// Need is what has to be observed before a plan can be made.
type Need struct {
	What What
	// Of is the map to be looked at: BasePinned or BaseKeepAlive.
	Of Base
}

// What is a kind of observation.
type What int

// The kinds of observations.
const (
	// NeedNothing: the plan is made.
	NeedNothing What = iota
	// NeedOwners: whose are the pin, and the map at it?
	NeedOwners
	// NeedFit: do the schemas fit the map's description of key and value?
	NeedFit
	// NeedComparison: the map's elements are compared with the declared ones.
	NeedComparison
	// NeedQuestions: the map can't be listed, and is asked for each declared element.
	NeedQuestions
	// NeedDifference: the map needs not be read, as it holds what was brought to it last.
	NeedDifference
	// NeedBlindWrite: the map can't be listed, and everything is written again.
	NeedBlindWrite
	// NeedLosses: what would be lost with the map?
	NeedLosses
	// NeedMemory: is the kernel memory that the plan takes granted?
	NeedMemory
)

// String is the observation in words.
func (n Need) String() string {
	what := [...]string{
		"nothing", "look up owners", "compare the layout", "compare contents", "ask for each entry", "compare with the last revision", "write everything again",
		"look for what would be lost", "reserve memory",
	}[n.What]
	switch n.Of {
	case BasePinned:
		return what + " of the map at the pin"
	case BaseKeepAlive:
		return what + " of the keep-alive pin's map"
	}
	return what
}

// follows says whether what a map holds follows from what this process brought to it last: the same map
// with the same shape, at another revision. An LRU map forgets by itself.
func (o *Observed) follows(base *Map, want *DesiredMap) bool {
	last, rec, rev := o.Last, o.Recorded, want.Revision
	return last != nil && rec != nil && o.KeepAlive != nil &&
		rec.Applied == last.Fingerprint && last.Fingerprint != want.Fingerprint &&
		base == o.Pinned && base.ID == last.MapID && o.KeepAlive.ID == last.MapID && !base.Frozen &&
		len(rev.Shape.Differences(last.Shape)) == 0 && !rev.Shape.IsLRU() && !rev.Shape.IsHidden() &&
		rev.Policy.Sync == last.Policy.Sync && rev.Policy.Drift == last.Policy.Drift && rev.Policy.Sync != v1alpha1.SyncSeed &&
		rev.Policy.Drift != v1alpha1.DriftReport // what others changed is looked for
}

// vouches says whether the record vouches for the contents of a map that nobody can list: exactly this was
// applied to it, or these contents were written before it was frozen.
func (o *Observed) vouches(base *Map, want *DesiredMap) bool {
	rec := o.Recorded
	if rec == nil || rec.MapID != base.ID {
		return false
	}
	return rec.Applied == want.Fingerprint || base.Frozen && rec.Digest == want.Revision.Digest && rec.Resolved == want.Resolved
}

// takesNoMore says whether the kernel refuses new elements before others are deleted.
func takesNoMore(c *Changes, shape revision.Shape) bool {
	return c.Before.N+int64(c.Insert.Len()) > int64(shape.MaxEntries)
}

// isDevMap says whether values are network interfaces.
func isDevMap(s revision.Shape) bool {
	return slices.Contains([]v1alpha1.MapType{v1alpha1.MapTypeDevMap, v1alpha1.MapTypeDevMapHash}, s.Type)
}
