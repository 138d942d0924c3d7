// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// bases are the stored keys that the record of one map names. Each is read once, when it is needed.
type bases struct {
	backend Backend
	key     revision.Key
	read    map[uint64][]byte
	// next is a generation that no record names.
	next uint64
}

func newBases(b Backend, key revision.Key, rec *Record) *bases {
	all := &bases{backend: b, key: key, read: map[uint64][]byte{0: nil}, next: 1}
	if rec != nil {
		all.next = rec.NextGeneration()
	}
	return all
}

// of are the stored keys of a log. If they are lost, the log is only what the record itself tells: what
// nobody remembers is left alone.
func (b *bases) of(ctx context.Context, l ownership.KeyLog) (base []byte, whole ownership.KeyLog, err error) {
	base, known := b.read[l.Generation]
	if !known {
		base, err = b.backend.Keys(ctx, b.key, l.Generation)
		if err == nil {
			err = l.CheckBase(base)
		}
		if err != nil && !errors.Is(err, ownership.ErrNoBase) {
			return nil, l, fmt.Errorf("read the declared keys: %w", err)
		}
		if err != nil {
			base = nil
		}
		b.read[l.Generation] = base
	}
	return base, b.believed(l), nil
}

// believed is a log without stored keys that are known to be lost.
func (b *bases) believed(l ownership.KeyLog) ownership.KeyLog {
	if base, known := b.read[l.Generation]; known && base == nil && l.BaseLen > 0 {
		return ownership.KeyLog{KeySize: l.KeySize, Added: l.Added}
	}
	return l
}

// compact stores the keys of a log that has no room for more changes as a new base.
func (b *bases) compact(ctx context.Context, l ownership.KeyLog) (ownership.KeyLog, error) {
	if !l.IsDue() {
		return l, nil
	}
	base, l, err := b.of(ctx, l)
	if err != nil {
		return l, err
	}
	return b.store(ctx, l.KeySize, l.Packed(base))
}

// store makes a log of exactly these keys, and stores those that it has no room for.
func (b *bases) store(ctx context.Context, keySize int, keys []byte) (ownership.KeyLog, error) {
	fresh, base := ownership.NewKeyLog(keySize, b.next, keys)
	if base == nil {
		return fresh, nil
	}
	if err := b.backend.SaveKeys(ctx, b.key, b.next, base); err != nil {
		return ownership.KeyLog{}, fmt.Errorf("save keys: %w", err)
	}
	b.read[b.next] = base
	b.next++
	return fresh, nil
}

// owned are the keys of one map that the record says are ours. The stored ones are read when they are needed
// first; after that, err says whether that went well.
type owned struct {
	load func() (base []byte, log ownership.KeyLog, err error)
	err  error
}

// Has says whether a key is ours; false after an error.
func (k *owned) Has(key []byte) bool {
	base, log := k.all()
	return log.Has(base, key)
}

// All yields every key that is ours; none after an error.
func (k *owned) All() iter.Seq[[]byte] {
	base, log := k.all()
	return log.All(base)
}

func (k *owned) all() (base []byte, log ownership.KeyLog) {
	if k.err == nil {
		base, log, k.err = k.load()
	}
	if k.err != nil {
		return nil, ownership.KeyLog{}
	}
	return base, log
}

// failed is the error of reading stored keys; nil without keys.
func (k *owned) failed() error {
	if k == nil {
		return nil
	}
	return k.err
}

// forPlan is k for the plan, which knows no error; nil without keys.
func (k *owned) forPlan() plan.Keys {
	if k == nil {
		return nil
	}
	return k
}

// has says whether a key is ours; without keys none is.
func (k *owned) has(key []byte) bool { return k != nil && k.Has(key) }

// ownedKeys are the keys of a map that the record says are ours, nil for none. A map that the record doesn't
// name holds none, whatever keys it has.
func (o *Observation) ownedKeys(ctx context.Context, m *openMap) *owned {
	log := o.recordedLog(m)
	if log.BaseLen == 0 && log.LogBytes() == 0 {
		return nil
	}
	return &owned{load: func() ([]byte, ownership.KeyLog, error) { return o.bases.of(ctx, log) }}
}

// desired is what a map is to hold in which some keys are ours.
func (o *Observation) desired(mine plan.Keys) plan.DesiredContents {
	return plan.DesiredContents{Contents: o.contents, Shape: o.rev.Shape, Sync: o.rev.Policy.Sync, Mask: o.mask, Owned: mine}
}

// recordedLog are the keys that the record has of a map. Those that were seeded are not ours under another policy.
func (o *Observation) recordedLog(m *openMap) ownership.KeyLog {
	rec := o.record
	switch {
	case rec == nil || m == nil || rec.Seeded && !o.seeds():
	case m.info.ID == rec.MapID:
		return rec.Keys
	case m.info.ID == rec.PreviousMapID:
		return rec.PreviousKeys
	}
	return ownership.KeyLog{}
}

// keyChanges are the declared keys that aren't recorded of a map yet, and the recorded ones that aren't
// declared any more, packed. Where that follows from what was applied before, nothing is read.
func (o *Observation) keyChanges(ctx context.Context, m *openMap) (added, removed []byte, err error) {
	rec, log := o.record, o.recordedLog(m)
	isOurs := rec != nil && m != nil && rec.MapID == m.info.ID && rec.Applied != ""
	hasKeys := log.BaseLen > 0 || log.LogBytes() > 0
	switch {
	case isOurs && hasKeys && rec.Digest == o.rev.Digest && rec.Linked == o.want.Resolved:
		return nil, nil, nil
	case isOurs && hasKeys && o.last != nil && rec.Applied == o.last.Fingerprint:
		return o.keysSince(o.last.contents)
	}
	base, log, err := o.bases.of(ctx, log)
	if err != nil {
		return nil, nil, err
	}
	added, removed = compareKeys(log, base, o.contents.packedKeys(true))
	return added, removed, nil
}

// compareKeys are the declared keys that aren't in a log, and those of the log that aren't declared, packed.
func compareKeys(log ownership.KeyLog, base, declared []byte) (added, removed []byte) {
	size := log.KeySize
	for key := range log.All(base) {
		for len(declared) > 0 && bytes.Compare(declared[:size], key) < 0 {
			added, declared = append(added, declared[:size]...), declared[size:]
		}
		if len(declared) > 0 && bytes.Equal(declared[:size], key) {
			declared = declared[size:]
			continue
		}
		removed = append(removed, key...)
	}
	if added == nil {
		return declared, removed // as they are, without a copy
	}
	return append(added, declared...), removed
}

// keysSince compares the declared keys with those of earlier contents.
func (o *Observation) keysSince(earlier *contents) (added, removed []byte, err error) {
	here, there := o.contents.Unlike(earlier)
	for i := range here {
		if _, had := earlier.Find(o.contents.Key(i)); !had {
			added = append(added, o.contents.Key(i)...)
		}
	}
	for i := range there {
		if _, declared := o.contents.Find(earlier.Key(i)); !declared {
			removed = append(removed, earlier.Key(i)...)
		}
	}
	return added, removed, nil
}

// keyLogs are the keys for the record of a map: before anything is written, all that are declared now or
// were before, and in the end, without those that were removed, exactly those that are declared. Of seeded maps, those
// that are put in are added in the end.
type keyLogs struct {
	before         ownership.KeyLog
	added, removed []byte
}

// newKeyLogs stores what the record will have no room for. Mirror needs keys once it becomes Merge.
func newKeyLogs(ctx context.Context, o *Observation, m *openMap) (k keyLogs, err error) {
	switch {
	case o.contents.KeySize() == 0:
		return k, nil
	case o.seeds():
		return o.seedLogs(ctx, m)
	}
	added, removed, err := o.keyChanges(ctx, m)
	if err != nil {
		return k, err
	}
	log := o.bases.believed(o.recordedLog(m))
	log.KeySize, k.removed = o.contents.KeySize(), removed
	if log.BaseLen == 0 && log.LogBytes() == 0 {
		k.before, err = o.bases.store(ctx, log.KeySize, added)
		return k, err
	}
	k.before, err = o.bases.compact(ctx, log.Add(added))
	return k, err
}

// after are the keys in the end.
func (k *keyLogs) after(ctx context.Context, b *bases) (ownership.KeyLog, error) {
	if len(k.added) == 0 && len(k.removed) == 0 {
		return k.before, nil
	}
	return b.compact(ctx, k.before.Add(k.added).Remove(k.removed))
}

// newRecord is the record of our map once everything is done, but for its keys and the mark "applied".
func newRecord(o *Observation, p *plan.Plan, id uint32) *Record {
	rev := o.rev
	rec := &Record{
		Key: rev.Key, UID: rev.UID, Revision: rev.Name, Digest: rev.Digest, Linked: o.want.Resolved, MapID: id,
		Pin: o.pin, Deletion: rev.Policy.Deletion, Origin: o.origin(p),
		KeySchema: rev.KeySchema, ValueSchema: rev.ValueSchema, SchemaVerified: o.verified(p),
		Seeded: o.seeds(), LeftOut: p.LeftOut, Sensitive: rev.Sensitive,
	}
	if o.record != nil {
		rec.Follow(o.record, o.keepAlive.id())
	}
	switch {
	case p.Base == plan.BaseNew:
		rec.Inner, rec.Exclusive = rev.Shape.Inner, rev.Shape.ExclusiveProgram
	case o.record != nil && o.record.MapID == id:
		rec.Inner, rec.Exclusive = o.record.Inner, o.record.Exclusive
	}
	if p.Action == plan.Replace {
		rec.Replace(o.replaced().info.ID)
	}
	if p.Drift != "" && (o.record == nil || !o.record.DriftReported) {
		rec.DriftCount++ // what was reported has been counted
	}
	rec.DriftReported = p.Changes.Keeps()
	return rec
}

// keepPrevious notes the map that was ours so far beside the one that is to be: either may be what a
// crash leaves.
func keepPrevious(o *Observation, rec *Record, m *openMap) {
	rec.PreviousMapID, rec.PreviousKeys, rec.PreviousOrigin = m.info.ID, o.recordedLog(m), o.record.OriginOf(m.info.ID)
	rec.PreviousExclusive, _ = o.have.Recorded.ExclusiveOf(o.planned(m))
	if key, value := o.schemasOf(m); o.mask != nil && value != nil {
		rec.PreviousKeySchema, rec.PreviousValueSchema = key, value
	}
}
