// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"iter"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// seeds says whether each declared key is put in once and is the programs' from then on.
func (o *Observation) seeds() bool {
	return o.rev.Policy.Sync == v1alpha1.SyncSeed && o.contents.KeySize() > 0
}

// seededBefore says whether a map was seeded when records had no keys of such maps: nobody knows which keys were put in,
// so that all count as put in that are declared now. A map in which nothing was declared was not seeded.
func (o *Observation) seededBefore(m *openMap) bool {
	rec := o.record
	if !o.seeds() || rec == nil || m == nil || m.info.ID != rec.MapID || rec.Seeded || rec.Digest == "" || rec.Origin.By != "" {
		return false
	}
	log := rec.Keys
	nothing := revision.Revision{Contents: revision.Contents{KeySize: int(o.rev.Shape.KeySize), ValueSize: int(o.rev.Shape.ValueSize)}}
	return log.BaseLen == 0 && log.LogBytes() == 0 && rec.Digest != nothing.ContentDigest()
}

// everyKey is the set of all keys.
type everyKey struct{}

// Has says that a key is in it.
func (everyKey) Has([]byte) bool { return true }

// All yields none, as nobody could end it.
func (everyKey) All() iter.Seq[[]byte] { return func(func([]byte) bool) {} }

// seeded are the keys that were put into a map.
func (o *Observation) seeded(m *openMap, mine *owned) plan.Keys {
	if o.seededBefore(m) {
		return everyKey{}
	}
	return mine.forPlan()
}

// seedLogs are the keys for the record of a seeded map: what was put in before while work is going on, and in the end
// what is declared. A key counts as put in once it is: after a crash before that it is put in again if it isn't there.
func (o *Observation) seedLogs(ctx context.Context, m *openMap) (k keyLogs, err error) {
	log := o.bases.believed(o.recordedLog(m))
	log.KeySize = o.contents.KeySize()
	if m == nil || o.seededBefore(m) { // a new map has all of them before anybody sees it
		k.before, err = o.bases.store(ctx, log.KeySize, o.contents.packedKeys(false))
		return k, err
	}
	if k.before, err = o.bases.compact(ctx, log); err != nil {
		return k, err
	}
	if o.rev.Shape.IsHidden() {
		return k, nil // nothing was put in
	}
	base, log, err := o.bases.of(ctx, k.before)
	if err != nil {
		return k, err
	}
	k.before = log
	k.added, k.removed = compareKeys(log, base, o.contents.packedKeys(false))
	return k, nil
}
