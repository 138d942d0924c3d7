// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newValidate() *cobra.Command {
	var in inputFlags
	c := &cobra.Command{
		Use:   "validate -f FILE",
		Short: "Check manifests, without the kernel and without a cluster",
		Long: `Check manifests by compiling them, as apply and the controller do. It needs no privileges, touches
no map, and shows everything that is wrong with its file, line, entry and field. Exit code 1 if
anything is.`,
		Example: `  bpfmap validate -f maps/
  kustomize build . | bpfmap validate -f -`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			maps, ok, err := in.compile(c)
			if err != nil {
				return err
			}
			for _, d := range maps {
				_, err := fmt.Fprintf(c.OutOrStdout(), "%s is valid (%s, %d of %d entries)\n",
					id(d.rev.Key), d.rev.Shape.Type, d.rev.Entries.Len, d.rev.Shape.MaxEntries)
				if err != nil {
					return err
				}
			}
			if !ok {
				return &ExitError{Code: 1}
			}
			return nil
		},
	}
	in.add(c)
	return c
}
