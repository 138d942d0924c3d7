// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/local"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/kube"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/overview"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
)

// status is the command status.
type status struct {
	factory *kube.Factory
	output  string
	all     bool // of all namespaces
}

// newStatus is the command status.
func newStatus(f *kube.Factory) *cobra.Command {
	s := status{factory: f}
	c := &cobra.Command{
		Use:   "status [MAP]",
		Short: "Show how BPFMaps are on their nodes",
		Long: `Show how a BPFMap is on its nodes: its conditions, how far its rollout is, its sources, which nodes fail and why, and what
to do about every reason. Nodes that say the same are one line. Without MAP: one line for each BPFMap of the namespace.

-o wide names all nodes and shows all conditions. The nodes are read from the BPFNodeStates; without the right to list them
they are those of the BPFMap's status, at most 32.`,
		Example: `  kubectl bpfmap status -A
  kubectl bpfmap status blocklist -n edge
  kubectl bpfmap status blocklist -n edge -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: f.CompleteMaps(nil),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return s.list(c)
			case s.all:
				return local.Usagef("--all-namespaces is for the list of all BPFMaps: leave out the name or the flag")
			}
			return s.show(c, args[0])
		},
	}
	c.Flags().BoolVarP(&s.all, "all-namespaces", "A", false, "list the BPFMaps of all namespaces")
	structured.AddFlag(c, &s.output, structured.Table, structured.Wide, structured.JSON, structured.YAML)
	return c
}

// show shows one map: two requests, whatever the number of nodes.
func (s *status) show(c *cobra.Command, arg string) error {
	reader, namespace, name, err := s.factory.Named(arg)
	if err != nil {
		return err
	}
	m, states, err := mapAndStates(c, reader, namespace, name)
	if err != nil {
		return err
	}
	o := overview.Of(m, states)
	if structured.IsDocument(s.output) {
		return structured.Print(c.OutOrStdout(), s.output, o)
	}
	return o.Write(terminal.Of(c.OutOrStdout()), time.Now(), s.output == structured.Wide)
}

// mapAndStates reads a BPFMap and what all nodes report. Without the right to read the latter they are nil.
func mapAndStates(c *cobra.Command, reader client.Reader, namespace, name string) (m *v1alpha1.BPFMap, states []v1alpha1.BPFNodeState, err error) {
	g, ctx := errgroup.WithContext(c.Context())
	g.Go(func() (err error) {
		m, err = kube.GetMap(ctx, reader, namespace, name)
		return err
	})
	g.Go(func() (err error) {
		states, err = kube.ListNodeStates(ctx, reader)
		if kube.IsForbidden(err) {
			return nil
		}
		return err
	})
	err = g.Wait()
	return m, states, err
}

// list lists all maps of a namespace.
func (s *status) list(c *cobra.Command) error {
	reader, err := s.factory.Client()
	if err != nil {
		return err
	}
	namespace, err := s.factory.Namespace()
	if err != nil {
		return err
	}
	if s.all {
		namespace = ""
	}
	maps, err := kube.ListMaps(c.Context(), reader, namespace)
	if err != nil {
		return err
	}
	all := make([]overview.Overview, len(maps))
	for i := range maps {
		all[i] = overview.Of(&maps[i], nil)
	}
	if structured.IsDocument(s.output) {
		return structured.Print(c.OutOrStdout(), s.output, all)
	}
	if len(all) == 0 {
		where := " in namespace " + namespace
		if s.all {
			where = ""
		}
		c.PrintErrf("There are no BPFMaps%s.\n", where)
		return nil
	}
	return overview.WriteList(terminal.Of(c.OutOrStdout()), all, time.Now(), s.all, s.output == structured.Wide)
}
