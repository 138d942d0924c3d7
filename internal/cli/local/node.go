// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"cmp"
	"math"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/locked"
	"github.com/bpfmap-io/bpfmap-operator/internal/mounts"
	"github.com/bpfmap-io/bpfmap-operator/internal/nodelock"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
)

// nodeFlags say where things are on this machine.
type nodeFlags struct {
	bpffs, cgroups string
	// noted is how many of the elements that differ plans have as they were found: 0 for the engine's default, below 0 for
	// all.
	noted int
}

func (n *nodeFlags) add(c *cobra.Command) {
	addBPFFSFlag(c, &n.bpffs)
	c.Flags().StringVar(&n.cgroups, "cgroup-root", cmp.Or(os.Getenv(mounts.CgroupEnv), kernel.DefaultCgroups), "mount point of the cgroup2 file system, below which cgroups are named")
	_ = c.MarkFlagDirname("cgroup-root") // fails only for a flag that doesn't exist
}

// newEngine is an engine over this machine's kernel, which takes the lock of each map that it works on. It
// tells c's user of a lock that another process holds for long.
func newEngine(c *cobra.Command, n nodeFlags) (*locked.Engine, error) {
	if err := kernel.Preflight(hostRoot(), n.bpffs); err != nil {
		return nil, err
	}
	onWait := func(w nodelock.Wait) {
		c.PrintErrf("Waiting for %s, which another process holds (%s so far)\n", w.For, w.Waited.Round(time.Second))
	}
	noted := n.noted
	if noted < 0 {
		noted = math.MaxInt
	}
	backend, err := kernel.New(n.bpffs, kernel.Options{
		Root: hostRoot(), Pins: pinstore.Options{OnWait: onWait}, References: kernel.ReferenceOptions{Cgroups: n.cgroups},
	})
	if err != nil {
		return nil, err
	}
	return locked.New(engine.New(backend, engine.Options{Local: true, Noted: noted}), backend.Lock), nil
}
