// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/kube"
)

// newStatus is the command status.
func newStatus(f *kube.Factory) *cobra.Command {
	var output kube.Format
	var all bool
	c := &cobra.Command{
		Use:               "status [MAP]",
		Short:             "Show how a BPFMap is on its nodes, or all of a namespace",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: f.CompleteMaps(nil),
		RunE: func(c *cobra.Command, _ []string) error {
			reader, err := f.Client()
			if err != nil {
				return err
			}
			namespace, err := f.Namespace()
			if err != nil {
				return err
			}
			if all {
				namespace = ""
			}
			maps, err := kube.ListMaps(c.Context(), reader, namespace)
			if err != nil {
				return err
			}
			for i := range maps {
				fmt.Fprintf(c.OutOrStdout(), "%s/%s\n", maps[i].Namespace, maps[i].Name)
			}
			return nil
		},
	}
	c.Flags().BoolVarP(&all, "all-namespaces", "A", false, "of all namespaces")
	kube.AddOutputFlag(c, &output)
	return c
}
