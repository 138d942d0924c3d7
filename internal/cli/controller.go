// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/controller/cluster"
)

// newController is the command controller; run is cluster.Run.
func newController(run func(context.Context, cluster.Options) error) *cobra.Command {
	var o cluster.Options
	var l logFlags
	c := &cobra.Command{
		Use:   "controller",
		Short: "Compile BPFMaps into revisions and aggregate the reports of the nodes",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := l.start(c); err != nil {
				return err
			}
			return run(c.Context(), o)
		},
	}
	addProcessFlags(c, &o.Options, &l)
	f := c.Flags()
	f.BoolVar(&o.LeaderElect, "leader-elect", false, "elect one active controller among several replicas")
	f.StringVar(&o.Namespace, "leader-elect-namespace", "", "namespace of the lease (default the pod's own)")
	f.IntVar(&o.Concurrency, "concurrency", 4, "how many BPFMaps are reconciled in parallel")
	f.IntVar(&o.RevisionHistoryLimit, "revision-history-limit", 5, "how many old revisions of each BPFMap are kept; spec.revisionHistoryLimit overrides it")
	return c
}
