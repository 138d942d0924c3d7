// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/cgroup"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/agent"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	"github.com/bpfmap-io/bpfmap-operator/internal/metrics"
	"github.com/bpfmap-io/bpfmap-operator/internal/mounts"
	"github.com/bpfmap-io/bpfmap-operator/internal/quota"
)

// minResync keeps a mistyped period from reading every map continuously.
const minResync = 10 * time.Millisecond

// newAgent is the command agent; run is agent.Run.
func newAgent(run func(context.Context, agent.Options) error) *cobra.Command {
	var o agent.Options
	var l logFlags
	var h host
	var prefixes []string
	var limits limitFlags
	var inventory bool
	var disabled []string
	var pod types.NamespacedName
	c := &cobra.Command{
		Use:   "agent",
		Short: "Reconcile this node's maps with their revisions",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := l.start(c); err != nil {
				return err
			}
			if err := checkNamespaces(c, o.Namespaces); err != nil {
				return err
			}
			ownSizing().fit(besideMaps)
			if o.NodeName == "" {
				return errors.New("--node-name or $NODE_NAME is required")
			}
			if o.ResyncPeriod < minResync {
				return fmt.Errorf("--resync-period %s: must be at least %s", o.ResyncPeriod, minResync)
			}
			allowed, err := engine.ParsePinPrefixes(prefixes)
			if err != nil {
				return err
			}
			if err := bpf.Disable(disabled...); err != nil {
				return fmt.Errorf("--disable-features: %w", err)
			}
			if err := bpf.AllowMemlock(); err != nil {
				log.Log.Info("Large maps can't be made on this node", "reason", err.Error())
			}
			if inventory {
				o.InventoryPeriod = o.ResyncPeriod
			}
			h.prefixes = allowed
			total, err := cgroup.NodeMemory("/")
			if err != nil {
				return err
			}
			if h.limits, err = quota.Parse(limits.node, limits.memory, limits.maps, total); err != nil {
				return err
			}
			if o.ContentSeries < 0 {
				return fmt.Errorf("--metrics-content-series %d: must be 0 or more", o.ContentSeries)
			}
			o.Host, o.ReadContents = &h, h.readMap
			o.Contents.Pod, o.Contents.Node = pod, h.live(o.NodeName)
			if err := checkContents(&o.Contents); err != nil {
				return err
			}
			return run(c.Context(), o)
		},
	}
	addProcessFlags(c, &o.Options, &l)
	f := c.Flags()
	f.StringVar(&o.NodeName, "node-name", os.Getenv("NODE_NAME"), "name of this node's Node object (default $NODE_NAME)")
	f.StringVar((*string)(&h.root), "host-root", os.Getenv(mounts.RootEnv), "folder in which this process finds the node's file system, in a container; --bpffs is a path of the node (default $"+mounts.RootEnv+")")
	f.StringVar(&h.bpffs, "bpffs", "/sys/fs/bpf", "mount point of the BPF file system")
	f.StringVar(&h.cgroups, "cgroup-root", cmp.Or(os.Getenv(mounts.CgroupEnv), kernel.DefaultCgroups), "mount point of the node's cgroup2 file system, as this process sees it, below which entries name cgroups (default $"+mounts.CgroupEnv+" if set)")
	f.BoolVar(&h.network, "host-network", true, "this process is in the node's network namespace: entries may name interfaces")
	f.DurationVar(&o.ResyncPeriod, "resync-period", 5*time.Minute, "how often each map is compared with the kernel, up to a tenth more or less")
	f.IntVar(&o.ContentSeries, "metrics-content-series", metrics.DefaultContentSeries, "how many series of the contents of all maps together (spec.metrics of BPFMaps) are served; 0 is none")
	f.IntVar(&o.Concurrency, "concurrency", 4, "how many maps are reconciled in parallel, of one namespace at most half as many")
	f.BoolVar(&inventory, "inventory", false, "at each resync, count all maps of the node and list those below bpfmap/ that no BPFMap owns (needs CAP_SYS_ADMIN)")
	f.StringSliceVar(&disabled, "disable-features", nil, "kernel features not to use, by their names in a BPFNodeState: for adopting features of a new kernel in stages, and for tests")
	f.StringArrayVar(&prefixes, "allowed-pin-prefix", nil, "NAMESPACE=DIRECTORY below which the namespace's maps may be pinned, in addition to bpfmap/NAMESPACE; * for all namespaces (repeatable)")
	f.StringVar(&o.Contents.BindAddress, "contents-bind-address", process.Disabled,
		"host:port that lets people read what the node's maps hold, over HTTPS, as far as they may get bpfmaps/contents; 0 disables it. With a loopback address it is reached by port-forwarding alone (needs the rights to create tokenreviews and subjectaccessreviews)")
	f.StringVar(&pod.Namespace, "pod-namespace", os.Getenv("POD_NAMESPACE"), "namespace of the agent's pod, for --contents-bind-address (default $POD_NAMESPACE)")
	f.StringVar(&pod.Name, "pod-name", os.Getenv("POD_NAME"), "name of the agent's pod, for --contents-bind-address (default $POD_NAME)")
	limits.add(c)
	return c
}

// checkContents refuses to serve contents where nobody could find them.
func checkContents(o *agent.ContentsOptions) error {
	if o.BindAddress == "" || o.BindAddress == process.Disabled {
		return nil
	}
	if _, _, err := net.SplitHostPort(o.BindAddress); err != nil {
		return fmt.Errorf("--contents-bind-address %s: must be host:port, or 0: %w", o.BindAddress, err)
	}
	if o.Pod.Namespace == "" || o.Pod.Name == "" {
		return errors.New("--contents-bind-address needs --pod-namespace and --pod-name, or $POD_NAMESPACE and $POD_NAME, by which people reach the agent")
	}
	return nil
}

// limitFlags are the administrator's limits, as text.
type limitFlags struct {
	node         string
	memory, maps []string
}

func (l *limitFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&l.node, "memory-limit", quota.DefaultNode, "kernel memory for all maps of this node together, such as 2Gi or 25% of the node's memory; none for no limit")
	f.StringArrayVar(&l.memory, "namespace-memory-limit", nil, "NAMESPACE=QUANTITY of kernel memory for the namespace's maps on this node; * for all namespaces without a limit of their own (repeatable; default *="+quota.DefaultMemory+", none for no limit)")
	f.StringArrayVar(&l.maps, "namespace-map-limit", nil, "NAMESPACE=NUMBER of maps of the namespace on this node; * for all namespaces without a limit of their own (repeatable; default *="+quota.DefaultMaps+", none for no limit)")
}
