// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	"github.com/bpfmap-io/bpfmap-operator/internal/nodelock"
)

// withEngine runs do with an engine over this machine's kernel, alone among all processes that manage
// maps of the BPF file system at bpffs.
func withEngine(ctx context.Context, bpffs string, do func(*engine.Engine) error) error {
	if err := kernel.Preflight(bpffs); err != nil {
		return err
	}
	backend, err := kernel.New(bpffs, kernel.Options{})
	if err != nil {
		return err
	}
	lock, err := nodelock.Acquire(ctx, bpffs)
	if err != nil {
		return err
	}
	return errors.Join(do(engine.New(backend, engine.Options{Local: true})), lock.Unlock())
}
