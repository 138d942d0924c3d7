// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/agent"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	"github.com/bpfmap-io/bpfmap-operator/internal/quota"
)

// minResync keeps a typo from reading every map all the time.
const minResync = 10 * time.Millisecond

func newAgent() *cobra.Command {
	var o agent.Options
	var l logFlags
	var h host
	var prefixes []string
	var limits limitFlags
	var inventory bool
	var disabled []string
	c := &cobra.Command{
		Use:   "agent",
		Short: "Keep this node's maps as their revisions say",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := l.use(c); err != nil {
				return err
			}
			if o.NodeName == "" {
				return errors.New("the node's name is needed: --node-name or $NODE_NAME")
			}
			if o.ResyncPeriod < minResync {
				return fmt.Errorf("--resync-period %s is shorter than %s", o.ResyncPeriod, minResync)
			}
			allowed, err := engine.ParsePinPrefixes(prefixes)
			if err != nil {
				return err
			}
			if err := bpf.Disable(disabled...); err != nil {
				return fmt.Errorf("--disable-features: %w", err)
			}
			if inventory {
				o.InventoryPeriod = o.ResyncPeriod
			}
			h.prefixes = allowed
			if h.limits, err = quota.Parse(limits.node, limits.memory, limits.maps); err != nil {
				return err
			}
			o.Host = &h
			return agent.Run(c.Context(), o)
		},
	}
	addProcessFlags(c, &o.Options, &l)
	f := c.Flags()
	f.StringVar(&o.NodeName, "node-name", os.Getenv("NODE_NAME"), "name of this node's Node object (default $NODE_NAME)")
	f.StringVar(&h.bpffs, "bpffs", "/sys/fs/bpf", "mount point of the BPF file system")
	f.StringVar(&h.cgroups, "cgroup-root", kernel.DefaultCgroups, "mount point of the node's cgroup2 file system, below which entries name cgroups")
	f.BoolVar(&h.network, "host-network", true, "this process is in the node's network namespace: entries may name interfaces")
	f.DurationVar(&o.ResyncPeriod, "resync-period", 5*time.Minute, "how often each map is compared with the kernel, up to a tenth more or less")
	f.IntVar(&o.Concurrency, "concurrency", 2, "how many maps are worked on at the same time")
	f.BoolVar(&inventory, "inventory", false, "count all maps of the node, with those below bpfmap/ that nobody owns, at each resync (needs CAP_SYS_ADMIN)")
	f.StringSliceVar(&disabled, "disable-features", nil, "features of the kernel to do without, by their names in a BPFNodeState: for adopting what a new kernel has in stages, and for tests")
	f.StringArrayVar(&prefixes, "allowed-pin-prefix", nil, "NAMESPACE=DIRECTORY below which a namespace may pin besides bpfmap/NAMESPACE; * for all namespaces (repeatable)")
	limits.add(c)
	return c
}

// limitFlags are the administrator's limits, as text.
type limitFlags struct {
	node         string
	memory, maps []string
}

func (l *limitFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&l.node, "memory-limit", "", "kernel memory for all maps of this node together, such as 2Gi (default no limit)")
	f.StringArrayVar(&l.memory, "namespace-memory-limit", nil, "NAMESPACE=QUANTITY of kernel memory for the namespace's maps on this node; * for all namespaces without a limit of their own (repeatable)")
	f.StringArrayVar(&l.maps, "namespace-map-limit", nil, "NAMESPACE=NUMBER of maps of the namespace on this node; * for all namespaces without a limit of their own (repeatable)")
}
