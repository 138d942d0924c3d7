// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/removal"
)

// newMarkRemoved is the command mark-removed; run is removal.Run.
func newMarkRemoved(run func(context.Context, removal.Options) error) *cobra.Command {
	var o removal.Options
	var l logFlags
	c := &cobra.Command{
		Use:   "mark-removed",
		Short: "Say of all BPFMaps and nodes that the operator was uninstalled",
		Long: `Say of all BPFMaps and nodes of a cluster that the operator was uninstalled.

The condition Ready of every BPFMap and BPFNodeState becomes Unknown, with the reason OperatorRemoved: nobody
looks after them any more. Nothing else changes, neither in the cluster nor on nodes, and the next installation
brings all conditions up to date. The chart runs it when it is uninstalled.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			logger, err := process.Logger(c.ErrOrStderr(), l.level, l.format)
			if err != nil {
				return err
			}
			process.UseLogger(logger)
			if err := checkNamespaces(c, o.Namespaces); err != nil {
				return err
			}
			return run(c.Context(), o)
		},
	}
	o.Version = version
	f := c.Flags()
	f.StringVar(&o.Kubeconfig, "kubeconfig", "", "kubeconfig file (default $KUBECONFIG, or the pod's service account)")
	f.DurationVar(&o.Timeout, "timeout", 5*time.Minute, "how long it may take")
	addNamespacesFlag(c, &o.Namespaces)
	addLogFlags(c, &l)
	return c
}
