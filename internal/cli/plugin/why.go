// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/kube"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/why"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
)

// newWhy is the command why.
func newWhy(f *kube.Factory) *cobra.Command {
	var output string
	var operator string
	c := &cobra.Command{
		Use:   "why MAP [NODE]",
		Short: "Say why a BPFMap isn't Ready, or a node lacks it",
		Long: `Say why a BPFMap isn't Ready, or why a node has what it has of it: a chain of causes, each with the objects and fields
that say so, and what to do.

It reads the BPFMap, its revisions, the BPFNodeStates, the Nodes, and the operator's DaemonSets and pods, each by one list.
What the caller may not read is named at the end; the answer then goes by the rest.`,
		Example: `  kubectl bpfmap why blocklist -n edge
  kubectl bpfmap why blocklist node-2 -n edge`,
		Args: cobra.RangeArgs(1, 2),
		ValidArgsFunction: f.CompleteMaps(func(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 1 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return f.CompleteNodes(c, args, prefix)
		}),
		RunE: func(c *cobra.Command, args []string) error {
			reader, namespace, name, err := f.Named(args[0])
			if err != nil {
				return err
			}
			e, err := gather(c.Context(), reader, namespace, name, operator)
			if err != nil {
				return err
			}
			answer := why.OfMap(e)
			if len(args) == 2 {
				answer = why.OfNode(e, args[1])
			}
			answer.For(namespace, name, args[1:]...)
			if structured.IsDocument(output) {
				return structured.Print(c.OutOrStdout(), output, answer)
			}
			return answer.Write(terminal.Of(c.OutOrStdout()))
		},
	}
	structured.AddFlag(c, &output, structured.Table, structured.Wide, structured.JSON, structured.YAML)
	addOperatorFlag(c, &operator)
	return c
}

// addOperatorFlag adds --operator-namespace.
func addOperatorFlag(c *cobra.Command, into *string) {
	c.Flags().StringVar(into, "operator-namespace", "", "namespace of the operator (default: all are looked at)")
}
