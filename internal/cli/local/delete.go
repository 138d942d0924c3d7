// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/locked"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

func newDelete() *cobra.Command {
	var in inputFlags
	var bpffs string
	var ignoreNotFound bool
	c := &cobra.Command{
		Use:   "delete -f FILE",
		Short: "Give up this machine's maps that manifests name",
		Long: `Give up this machine's maps that manifests name: the pins are removed, or with the deletionPolicy
Retain, which was applied with the map, left where they are. Only the names in the manifests count.
The kernel frees a map when no program uses it any more.`,
		Example: `  bpfmap delete -f maps/`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if len(in.paths) == 0 {
				return errors.New("nothing to read: -f FILE is needed")
			}
			set := in.read(c)
			var keys []revision.Key
			for _, m := range set.Manifests {
				keys = append(keys, revision.Key{Namespace: m.Map.Namespace, Name: m.Map.Name})
			}
			for _, p := range set.Problems {
				printError(c, p)
			}
			if len(set.Problems) > 0 {
				return errors.New("nothing was deleted")
			}
			if len(keys) == 0 {
				return errors.New("no BPFMap found")
			}
			e, err := newEngine(c, nodeFlags{bpffs: bpffs})
			if err != nil {
				return err
			}
			return deleteAll(c, e, keys, ignoreNotFound)
		},
	}
	in.add(c)
	addBPFFSFlag(c, &bpffs)
	c.Flags().BoolVar(&ignoreNotFound, "ignore-not-found", false, "a map that is not there is no error")
	return c
}

func deleteAll(c *cobra.Command, e *locked.Engine, keys []revision.Key, ignoreNotFound bool) error {
	var failed error
	for _, key := range keys {
		r := e.Remove(c.Context(), key)
		switch {
		case r.Err != nil:
			c.PrintErrf("Error: %s: %s: %s\n", id(key), r.Reason, r.Message)
			failed = &ExitError{Code: 1}
		case r.Action == engine.ActionNone && ignoreNotFound:
		case r.Action == engine.ActionNone:
			c.PrintErrf("Error: %s is not managed on this machine\n", id(key))
			failed = &ExitError{Code: 1}
		default:
			word := "deleted"
			if r.Action == engine.ActionRetained {
				word = "given up, its pin is left"
			}
			if _, err := fmt.Fprintf(c.OutOrStdout(), "%s %s (map %d)\n", id(key), word, r.MapID); err != nil {
				return err
			}
		}
	}
	return failed
}
