// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
)

// earlier is what was declared before, as a record tells it.
type earlier struct {
	sums []byte
	mask plan.Mask
	zero []byte // scratch
}

// Has says whether a key was declared.
func (e *earlier) Has(key []byte) bool { return ownership.HasKey(e.sums, key) }

// HasValue says whether a key was declared with a value.
func (e *earlier) HasValue(key, value []byte) bool {
	e.zero = appendDeclared(e.zero[:0], e.mask, value)
	return ownership.HasEntry(e.sums, key, e.zero)
}

// appendDeclared appends the declared bits of a value, with zeros for those of programs.
func appendDeclared(dst []byte, mask plan.Mask, value []byte) []byte {
	if mask == nil {
		return append(dst, value...)
	}
	for i, b := range value {
		dst = append(dst, b&mask[i])
	}
	return dst
}

// maskSum tells masks apart.
func maskSum(mask plan.Mask) string {
	if mask == nil {
		return ""
	}
	sum := sha256.Sum256(mask)
	return hex.EncodeToString(sum[:8])
}

// reportsDrift says whether others' changes are to stay as they are.
func (o *Observation) reportsDrift() bool {
	return o.rev.Policy.Drift == v1alpha1.DriftReport && o.rev.Policy.Sync != v1alpha1.SyncSeed && !o.rev.Shape.IsHidden()
}

// declaredBefore is what a former revision declared in a map, nil if nobody asks or it isn't known. Only with driftPolicy
// Report what others changed since then stays as it is when a new revision comes. What names stood for may have changed
// without anybody's doing.
func (o *Observation) declaredBefore(ctx context.Context, m *openMap) (plan.Earlier, error) {
	rev, rec := o.rev, o.record
	switch {
	case !o.reportsDrift() || rec == nil || rec.Declared == nil || rec.Applied == o.want.Fingerprint:
		return nil, nil
	case rec.UID != rev.UID || rec.MapID != m.info.ID:
		return nil, nil
	case rec.Applied == "" && rec.Revision != rev.Name:
		return nil, nil // the map may hold a part of yet another revision
	case rec.Declared.Sync != rev.Policy.Sync || rec.Declared.Mask != maskSum(o.mask) || len(rev.References) > 0 || rec.Declared.References:
		return nil, nil
	}
	sums, err := o.bases.sums(ctx, rec.Declared)
	if err != nil || sums == nil {
		return nil, err
	}
	return &earlier{sums: sums, mask: o.mask}, nil
}

func isOf(sums []byte, d *ownership.Declared) bool { return d.Check(sums) == nil }

// sums are those that a record tells of; nil if they are lost.
func (b *bases) sums(ctx context.Context, d *ownership.Declared) ([]byte, error) {
	all := d.Sums
	if d.Generation != 0 {
		var err error
		if all, err = b.backend.Keys(ctx, b.key, d.Generation); errors.Is(err, ownership.ErrNoBase) {
			return nil, nil
		} else if err != nil {
			return nil, fmt.Errorf("read what was declared: %w", err)
		}
	}
	switch {
	case !isOf(all, d):
		return nil, nil
	case all == nil:
		return []byte{}, nil // nothing was declared
	}
	return all, nil
}

// noteDeclared puts down in the record of a map that is as declared what that is, if the next revision has to know.
func (o *Observation) noteDeclared(ctx context.Context, rec *Record) error {
	if !o.reportsDrift() {
		rec.Declared = nil
		return nil
	}
	if o.isNoted(rec) && o.record != nil && o.record.Digest == o.rev.Digest {
		return nil
	}
	d := &ownership.Declared{Sync: o.rev.Policy.Sync, Mask: maskSum(o.mask), References: len(o.rev.References) > 0}
	rec.Declared = d
	if d.References {
		return nil // it is not going to be compared
	}
	d.Len = o.contents.Len()
	all := ownership.Sums(d.Len, o.declaredValues())
	if ownership.IsInline(all) {
		d.Sums = all
		return nil
	}
	if err := o.backend.SaveKeys(ctx, o.rev.Key, o.bases.next, all); err != nil {
		return fmt.Errorf("save what is declared: %w", err)
	}
	d.Generation = o.bases.next
	o.bases.next++
	return nil
}

// isNoted says whether a record tells what a revision of this policy declared last.
func (o *Observation) isNoted(rec *Record) bool {
	if !o.reportsDrift() {
		return rec.Declared == nil
	}
	d := rec.Declared
	return d != nil && d.Sync == o.rev.Policy.Sync && d.Mask == maskSum(o.mask) && d.References == (len(o.rev.References) > 0)
}

// declaredValues yields the declared entries, without what programs own of them.
func (o *Observation) declaredValues() func(yield func(key, value []byte) bool) {
	return func(yield func(key, value []byte) bool) {
		var value, bare []byte
		for i := range o.contents.Len() {
			value = o.contents.AppendValue(value[:0], i)
			bare = appendDeclared(bare[:0], o.mask, value)
			if !yield(o.contents.Key(i), bare) {
				return
			}
		}
	}
}
