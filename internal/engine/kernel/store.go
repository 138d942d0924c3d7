// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
)

// Add writes elements whose keys aren't there.
func (o openMap) Add(ctx context.Context, keys, values []byte) (added int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	added, err = o.m.AddBatch(ctx, keys, values)
	return added, o.explain(err)
}

// Store writes bits of elements that are there.
func (o openMap) Store(ctx context.Context, keys, values, mask []byte) (engine.Stored, error) {
	if err := ctx.Err(); err != nil {
		return engine.Stored{}, err
	}
	merger, err := o.m.NewMerger(mask, o.flags)
	if err != nil {
		return engine.Stored{}, o.explain(err)
	}
	missing, err := merger.Merge(ctx, keys, values)
	stored := engine.Stored{Missing: missing}
	if missing*o.m.KeySize() < len(keys) {
		stored.Way = engine.StoredByReadModifyWrite
	}
	return stored, o.explain(err)
}
