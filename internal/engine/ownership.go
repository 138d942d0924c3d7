// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"iter"
	"slices"
	"sort"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// packedKeys are packed keys in the order of a shape.
type packedKeys struct {
	shape revision.Shape
	keys  []byte
}

func (p packedKeys) size() int { return int(p.shape.KeySize) }

// Has says whether a key is among them.
func (p packedKeys) Has(key []byte) bool {
	size := p.size()
	if len(key) != size || size == 0 {
		return false
	}
	_, found := sort.Find(len(p.keys)/size, func(i int) int { return p.shape.CompareKeys(key, p.keys[i*size:(i+1)*size]) })
	return found
}

// All yields each key.
func (p packedKeys) All() iter.Seq[[]byte] { return slices.Chunk(p.keys, p.size()) }

// ownedKeys are the keys of a map that the record says are ours, nil for none. A map that the record doesn't
// name holds none, whatever keys it has.
func (o *Observation) ownedKeys(m *openMap) plan.Keys {
	if keys := o.recordedKeys(m); len(keys) > 0 {
		return packedKeys{m.info.Shape, keys}
	}
	return nil
}

func (o *Observation) recordedKeys(m *openMap) []byte {
	rec := o.record
	switch {
	case rec == nil || m == nil:
	case m.info.ID == rec.MapID:
		return rec.Keys
	case m.info.ID == rec.PreviousMapID:
		return rec.PreviousKeys
	}
	return nil
}

// maxReplaced bounds the replaced maps that a record remembers.
const maxReplaced = 4

// newRecord is the record of our map once everything is done, but for the mark "applied".
func newRecord(o *Observation, p *plan.Plan, id uint32) *Record {
	rev := o.rev
	rec := &Record{
		Key: rev.Key, UID: rev.UID, Revision: rev.Name, Digest: rev.Digest, Linked: o.want.Resolved, MapID: id,
		Pin: rev.Pin, Deletion: rev.Policy.Deletion,
		KeySchema: rev.KeySchema, ValueSchema: rev.ValueSchema,
	}
	if rev.Policy.Sync != v1alpha1.SyncSeed { // Mirror needs them once it becomes Merge
		rec.Keys = o.contents.packedKeys()
	}
	if old := o.record; old != nil {
		rec.DriftCount, rec.Replaced = old.DriftCount, old.Replaced
		rec.PreviousPaths = previousPaths(old, rev.Pin.Path)
		rec.EarlierMaps = earlierMaps(old, rec)
	}
	if p.Action == plan.Replace {
		rec.Replaced = append([]uint32{o.replaced().info.ID}, rec.Replaced...)
		rec.Replaced = rec.Replaced[:min(len(rec.Replaced), maxReplaced)]
	}
	if p.Drift != "" {
		rec.DriftCount++
	}
	return rec
}

// previousPaths are the paths of pins that a record knows, without the one that stays.
func previousPaths(old *Record, stays string) []string {
	var paths []string
	for _, path := range append([]string{old.Pin.Path}, old.PreviousPaths...) {
		if path != stays && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// earlierMaps are the maps besides rec's own that may be at its previous paths, each once. Without such paths
// there are none.
func earlierMaps(old, rec *Record) []uint32 {
	if len(rec.PreviousPaths) == 0 {
		return nil
	}
	var ids []uint32
	for _, id := range append([]uint32{old.MapID, old.PreviousMapID}, old.EarlierMaps...) {
		if id != 0 && id != rec.MapID && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// keepOwnedKeys adds to a record, before anything is written, the keys that are ours in the map so far.
func keepOwnedKeys(o *Observation, rec *Record, m *openMap) {
	if o.rev.Policy.Sync != v1alpha1.SyncSeed {
		rec.Keys = union(o.rev.Shape, rec.Keys, o.recordedKeys(m))
	}
}

// keepPrevious notes the map that was ours so far beside the one that is to be: either may be what a
// crash leaves.
func keepPrevious(o *Observation, rec *Record, m *openMap) {
	rec.PreviousMapID, rec.PreviousKeys = m.info.ID, o.recordedKeys(m)
}

// namesPin says whether a pin at a path is a record's, or was and may still be there.
func namesPin(r *Record, path string) bool {
	return r.Pin.Path == path || slices.Contains(r.PreviousPaths, path)
}

// union merges two sorted lists of packed keys of the shape.
func union(shape revision.Shape, a, b []byte) []byte {
	size := int(shape.KeySize)
	if len(b) == 0 || size == 0 {
		return a
	}
	out := make([]byte, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch x, y := a[:size], b[:size]; {
		case bytes.Equal(x, y):
			out, a, b = append(out, x...), a[size:], b[size:]
		case shape.CompareKeys(x, y) < 0:
			out, a = append(out, x...), a[size:]
		default:
			out, b = append(out, y...), b[size:]
		}
	}
	return append(append(out, a...), b...)
}
