// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"fmt"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// The bounds of a record's lists.
const (
	// MaxReplaced bounds Record.Replaced: the newest are kept.
	MaxReplaced = 4
	// MaxEarlier bounds Record.PreviousPaths and Record.EarlierMaps: the oldest are kept. A pin that is
	// not remembered stays where it is.
	MaxEarlier = 64
)

// Record is what a node remembers of a map. Its lists hold no zeros and no duplicates.
type Record struct {
	Key revision.Key `json:"key"`
	// UID is the BPFMap's, empty without a cluster.
	UID string `json:"uid,omitempty"`
	// Revision is the name of the revision that was applied last, Digest its digest.
	Revision string `json:"revision,omitempty"`
	Digest   string `json:"digest"`
	// Linked tells what the names in its entries stood for.
	Linked string `json:"linked,omitempty"`
	// Applied is the fingerprint of what was applied completely; empty while work is going on.
	Applied string `json:"applied,omitempty"`
	// MapID is the managed map's id in the running kernel, PreviousMapID that of the map which
	// it is about to replace or to be kept instead of; 0 once that is done.
	MapID         uint32 `json:"mapID"`
	PreviousMapID uint32 `json:"previousMapID,omitempty"`

	// Replaced are the ids of maps that were replaced, the last one first: at most MaxReplaced.
	Replaced []uint32 `json:"replaced,omitempty"`

	Pin revision.Pin `json:"pin"`
	// PreviousPaths are where the map was pinned before, until those pins are removed, and EarlierMaps
	// the ids of the maps that may be there, besides MapID: at most MaxEarlier each.
	PreviousPaths []string `json:"previousPaths,omitempty"`
	EarlierMaps   []uint32 `json:"earlierMaps,omitempty"`
	// Deletion is empty if it depends on the map's origin, see DeletionOf.
	Deletion v1alpha1.DeletionPolicy `json:"deletion"`
	// Origin is that of the map MapID, PreviousOrigin that of PreviousMapID.
	Origin         Origin `json:"origin,omitzero"`
	PreviousOrigin Origin `json:"previousOrigin,omitzero"`
	// DriftCount is how many times drift was found.
	DriftCount int64 `json:"driftCount,omitempty"`
	// DriftReported says that the present drift has been counted.
	DriftReported bool `json:"driftReported,omitempty"`

	// KeySchema and ValueSchema let tools print the map.
	KeySchema   *v1alpha1.Schema `json:"keySchema,omitempty"`
	ValueSchema v1alpha1.Schema  `json:"valueSchema"`
	// SchemaVerified says whether they fit what the map MapID tells of its key and value; empty if nobody looked.
	SchemaVerified v1alpha1.SchemaVerification `json:"schemaVerified,omitempty"`

	// Sensitive says that contents that were applied come from a Secret.
	Sensitive bool `json:"sensitive,omitempty"`
	// Declared tells what was declared in the map MapID when a revision was applied last; nil if nobody needs it.
	Declared *Declared `json:"declared,omitempty"`
	// Stored is the least exact way in which declared bits were written beside those of programs; empty if none were.
	Stored string `json:"stored,omitempty"`
	// Seeded says that Keys are those that were put in once and are the programs' since then. Records from before have
	// no keys of such maps.
	Seeded bool `json:"seeded,omitempty"`
	// LeftOut is how many declared entries were not written.
	LeftOut int `json:"leftOut,omitempty"`
	// PreviousKeySchema and PreviousValueSchema are those of the map PreviousMapID, nil if they are the same.
	PreviousKeySchema   *v1alpha1.Schema `json:"previousKeySchema,omitempty"`
	PreviousValueSchema *v1alpha1.Schema `json:"previousValueSchema,omitempty"`

	// Inner is what inner maps the map MapID takes, which the kernel doesn't tell; nil if nobody knows, and for other types.
	Inner *revision.Shape `json:"inner,omitempty"`

	// Exclusive and PreviousExclusive are the hashes of the one program that the maps MapID and PreviousMapID were made
	// for, which the kernel doesn't tell; empty for any program, and for maps that others made.
	Exclusive         string `json:"exclusive,omitempty"`
	PreviousExclusive string `json:"previousExclusive,omitempty"`

	// Keys are the declared keys of the map MapID, the base of the three-way merge, and PreviousKeys
	// those of the map PreviousMapID. Empty for policies that need none.
	Keys         KeyLog `json:"-"`
	PreviousKeys KeyLog `json:"-"`
}

// NextGeneration names a base of keys that the record doesn't name yet.
func (r *Record) NextGeneration() uint64 {
	newest := max(r.Keys.Generation, r.PreviousKeys.Generation)
	if r.Declared != nil {
		newest = max(newest, r.Declared.Generation)
	}
	return newest + 1
}

// Generations are the bases, and the sums of Declared, that the record names.
func (r *Record) Generations() []uint64 {
	all := make([]uint64, 0, 3)
	var sums uint64
	if r.Declared != nil {
		sums = r.Declared.Generation
	}
	for _, generation := range []uint64{r.Keys.Generation, r.PreviousKeys.Generation, sums} {
		if generation != 0 && !slices.Contains(all, generation) {
			all = append(all, generation)
		}
	}
	return all
}

// KeyBytes is how many bytes of keys are stored for the record, in bases and in the record itself.
func (r *Record) KeyBytes() int64 {
	n := int64(r.Keys.LogBytes()+r.PreviousKeys.LogBytes()) + r.Keys.BaseBytes() + r.Declared.Bytes()
	if r.PreviousKeys.Generation != r.Keys.Generation {
		n += r.PreviousKeys.BaseBytes()
	}
	return n
}

// ClaimedPaths are the pin paths, relative to the BPF file system, that no other BPFMap may have.
func (r *Record) ClaimedPaths() []string {
	paths := make([]string, 0, 1+len(r.PreviousPaths))
	for _, path := range append([]string{r.Pin.Path}, r.PreviousPaths...) {
		if path != "" && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// ClaimedMaps are the ids of the maps that no other BPFMap may have.
func (r *Record) ClaimedMaps() []uint32 { return distinct(r.MapID, r.PreviousMapID) }

// Follow takes over from the map's former record what outlives a revision: counts, the maps that were
// replaced, and the earlier pins that are still to be removed, with the maps that may be there. r has its
// MapID and Pin already. kept is the id behind the map's KeepAlive pin, 0 if there is none: a map is kept
// alive before it is pinned, so the former record's map was never pinned if its predecessor is still kept. The
// pin that an adopted map was found at is somebody else's and stays.
func (r *Record) Follow(former *Record, kept uint32) {
	r.DriftCount, r.Replaced = former.DriftCount, former.Replaced
	if former.MapID == r.MapID {
		r.Declared, r.Stored, r.Sensitive = former.Declared, former.Stored, r.Sensitive || former.Sensitive
	}
	r.PreviousPaths, r.EarlierMaps = nil, nil
	for _, path := range append(slices.Clone(former.PreviousPaths), former.Pin.Path) {
		if path != r.Pin.Path && path != "" && !former.Origin.IsPinOf(path) && !former.PreviousOrigin.IsPinOf(path) && !slices.Contains(r.PreviousPaths, path) && len(r.PreviousPaths) < MaxEarlier {
			r.PreviousPaths = append(r.PreviousPaths, path)
		}
	}
	if len(r.PreviousPaths) == 0 {
		return
	}
	earlier := append(slices.Clone(former.EarlierMaps), former.PreviousMapID)
	if kept == 0 || kept != former.PreviousMapID {
		earlier = append(earlier, former.MapID)
	}
	earlier = slices.DeleteFunc(distinct(earlier...), func(id uint32) bool { return id == r.MapID })
	if len(earlier) > 0 {
		r.EarlierMaps = earlier[:min(len(earlier), MaxEarlier)]
	}
}

// Replace notes that the managed map took the place of another one.
func (r *Record) Replace(id uint32) {
	all := distinct(append([]uint32{id}, r.Replaced...)...)
	r.Replaced = all[:min(len(all), MaxReplaced)]
}

// distinct are the ids in their order, without zeros and duplicates.
func distinct(ids ...uint32) []uint32 {
	all := make([]uint32, 0, len(ids))
	for _, id := range ids {
		if id != 0 && !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

// check refuses lists that are out of bounds: a record may not grow with each try.
func (r *Record) check() error {
	for _, list := range []struct {
		name string
		ids  []uint32
		most int
	}{{"replaced", r.Replaced, MaxReplaced}, {"earlierMaps", r.EarlierMaps, MaxEarlier}} {
		if n := len(list.ids); n > list.most || len(distinct(list.ids...)) != n {
			return fmt.Errorf("%s has %d ids, zeros or duplicates among them, or more than %d", list.name, n, list.most)
		}
	}
	if n := len(r.PreviousPaths); n > MaxEarlier || n > 0 && len(r.ClaimedPaths()) != n+1 {
		return fmt.Errorf("previousPaths has %d paths, duplicates among them, or more than %d", n, MaxEarlier)
	}
	for _, log := range []*KeyLog{&r.Keys, &r.PreviousKeys} {
		if err := log.check(); err != nil {
			return err
		}
	}
	return r.Declared.check()
}
