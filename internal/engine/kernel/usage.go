// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"errors"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/footprint"
	"github.com/bpfmap-io/bpfmap-operator/internal/quota"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Usage is the kernel memory of all maps below the pin root: of each managed map with its record, and by
// namespace of those that are pinned in its directory without a record, because they were retained.
func (b *Backend) Usage(ctx context.Context) ([]quota.Use, error) {
	records, err := b.Records(ctx)
	if err != nil {
		return nil, err
	}
	var uses []quota.Use
	owned := map[uint32]bool{}
	for i := range records {
		r := &records[i]
		use := quota.Use{Key: r.Key, Bytes: engine.RecordBytes(r.KeyBytes())}
		kept, err := b.pins.KeepAlive(r.Key)
		if err != nil {
			return nil, explain(err)
		}
		if kept != nil {
			id, bytes, err := b.taken(ctx, kept)
			if err := errors.Join(err, kept.Close()); err != nil {
				return nil, err
			}
			owned[id] = true
			use.Bytes += bytes
		}
		uses = append(uses, use)
	}
	err = b.pins.Pins(func(namespace string, m *bpf.Map) error {
		id, bytes, err := b.taken(ctx, m)
		if err == nil && !owned[id] {
			owned[id] = true
			uses = append(uses, quota.Use{Key: revision.Key{Namespace: namespace}, Bytes: bytes})
		}
		return err
	})
	return uses, explain(err)
}

// taken is a map's id and what it really takes.
func (b *Backend) taken(ctx context.Context, m *bpf.Map) (id uint32, bytes int64, err error) {
	info, err := openMap{m: m}.Info(ctx)
	if err != nil {
		return 0, 0, err
	}
	return info.ID, footprint.Of(info.Shape, b.cpus).Charged(info.MemlockBytes), nil
}
