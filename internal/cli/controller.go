// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/controller/cluster"
)

func newController() *cobra.Command {
	var o cluster.Options
	var l logFlags
	c := &cobra.Command{
		Use:   "controller",
		Short: "Compile BPFMaps into revisions and aggregate what the nodes report",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := l.use(c); err != nil {
				return err
			}
			return cluster.Run(c.Context(), o)
		},
	}
	addProcessFlags(c, &o.Options, &l)
	f := c.Flags()
	f.BoolVar(&o.LeaderElect, "leader-elect", false, "let several controllers run, of which one works")
	f.StringVar(&o.Namespace, "leader-elect-namespace", "", "namespace of the lease (default the pod's own)")
	f.IntVar(&o.Concurrency, "concurrency", 4, "how many BPFMaps are worked on at the same time")
	f.IntVar(&o.RevisionHistoryLimit, "revision-history-limit", 5, "how many old revisions of each BPFMap are kept")
	return c
}
