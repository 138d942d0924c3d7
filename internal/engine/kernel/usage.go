// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"errors"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/quota"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Usage is the kernel memory of all maps below the pin root: of each managed map with its record, and by
// namespace of those that are pinned in its directory without a record. Of these, those that were made for BPFMaps count
// as maps of the namespace, too.
func (b *Backend) Usage(ctx context.Context) ([]quota.Use, error) {
	records, err := b.Records(ctx)
	if err != nil {
		return nil, err
	}
	var uses []quota.Use
	owned := map[uint32]bool{}
	for i := range records {
		id, bytes, err := b.takenWith(ctx, &records[i])
		if err != nil {
			return nil, err
		}
		owned[id] = id != 0
		uses = append(uses, quota.Use{Key: records[i].Key, Bytes: bytes})
	}
	left, err := b.pins.Left()
	if err != nil {
		return nil, explain(err)
	}
	err = b.pins.Pins(func(namespace string, m *bpf.Map) error {
		id, bytes, err := b.taken(ctx, m)
		if err == nil && !owned[id] {
			owned[id] = true
			use := quota.Use{Key: revision.Key{Namespace: namespace}, Bytes: bytes}
			if left[id] {
				use.Left = id
			}
			uses = append(uses, use)
		}
		return err
	})
	return uses, explain(err)
}

// UsageOf is the kernel memory in bytes of one managed map with its record, as Usage measures it; exists is
// false if there is no record. It costs the same however many maps there are.
func (b *Backend) UsageOf(ctx context.Context, key revision.Key) (bytes int64, exists bool, err error) {
	r, err := b.pins.LoadRecord(key)
	if err != nil || r == nil {
		return 0, false, explain(err)
	}
	_, bytes, err = b.takenWith(ctx, r)
	return bytes, true, err
}

// takenWith is the id of a managed map, 0 if it is gone, and its kernel memory in bytes with the record's.
func (b *Backend) takenWith(ctx context.Context, r *engine.Record) (id uint32, bytes int64, err error) {
	bytes = engine.RecordBytes(r.KeyBytes())
	kept, err := b.pins.KeepAlive(r.Key)
	if err != nil || kept == nil {
		return 0, bytes, explain(err)
	}
	id, taken, err := b.taken(ctx, kept)
	return id, bytes + taken, errors.Join(err, kept.Close())
}

// taken is a map's id and its kernel memory in bytes.
func (b *Backend) taken(ctx context.Context, m *bpf.Map) (id uint32, bytes int64, err error) {
	info, err := openMap{m: m}.Info(ctx)
	if err != nil {
		return 0, 0, err
	}
	return info.ID, info.Memory(b.cpus), nil
}
