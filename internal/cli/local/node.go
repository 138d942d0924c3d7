// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	"github.com/bpfmap-io/bpfmap-operator/internal/nodelock"
)

// nodeFlags say where things are on this machine.
type nodeFlags struct{ bpffs, cgroups string }

func (n *nodeFlags) add(c *cobra.Command) {
	addBPFFSFlag(c, &n.bpffs)
	c.Flags().StringVar(&n.cgroups, "cgroup-root", kernel.DefaultCgroups, "mount point of the cgroup2 file system, below which cgroups are named")
	_ = c.MarkFlagDirname("cgroup-root") // fails only for a flag that doesn't exist
}

// withEngine runs do with an engine over this machine's kernel, alone among all processes that manage
// maps of the BPF file system.
func withEngine(ctx context.Context, n nodeFlags, do func(*engine.Engine) error) error {
	if err := kernel.Preflight(n.bpffs); err != nil {
		return err
	}
	backend, err := kernel.New(n.bpffs, kernel.Options{Links: kernel.LinkOptions{Cgroups: n.cgroups}})
	if err != nil {
		return err
	}
	lock, err := nodelock.Acquire(ctx, n.bpffs)
	if err != nil {
		return err
	}
	return errors.Join(do(engine.New(backend, engine.Options{Local: true})), lock.Unlock())
}
