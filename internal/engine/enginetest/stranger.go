// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"context"
	"errors"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Intrude pins m at pin in place of whatever map is there, as a program does that asks nobody: no record
// names m then. other is a key of no BPFMap.
func Intrude(ctx context.Context, b engine.Backend, other revision.Key, m engine.Map, pin revision.Pin) error {
	state, err := b.Open(ctx, other, &pin)
	if err != nil {
		return err
	}
	var there []uint32
	if state.Pinned != nil {
		info, err := state.Pinned.Info(ctx)
		if err := errors.Join(err, state.Pinned.Close()); err != nil {
			return err
		}
		there = append(there, info.ID)
	}
	return errors.Join(b.Publish(ctx, other, m, pin, there...), b.Forget(ctx, other))
}
