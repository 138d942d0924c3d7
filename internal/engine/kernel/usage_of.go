// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"errors"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// UsageOf is the kernel memory in bytes of one managed map with its record, as Usage measures it; exists is
// false if there is no record. It costs the same however many maps there are.
func (b *Backend) UsageOf(ctx context.Context, key revision.Key) (bytes int64, exists bool, err error) {
	r, err := b.pins.LoadRecord(key)
	if err != nil || r == nil {
		return 0, false, explain(err)
	}
	bytes = engine.RecordBytes(r.KeyBytes())
	kept, err := b.pins.KeepAlive(key)
	if err != nil {
		return 0, false, explain(err)
	}
	if kept == nil {
		return bytes, true, nil
	}
	_, taken, err := b.taken(ctx, kept)
	return bytes + taken, true, errors.Join(err, kept.Close())
}
