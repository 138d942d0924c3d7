// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/interrupt"
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
		Short: "Remove the maps named in manifests from this machine",
		Long: `Remove the maps named in manifests from this machine, as their deletionPolicy said when they were applied.
Delete, the default for maps that were made here, removes their pins; GiveBack, the default for maps that were
adopted, takes the declared entries out and leaves the pin and all else as it was found; Retain leaves
everything. Only the names in the manifests matter. The kernel frees a map when it has no pin and no program
uses it any more.`,
		Example: `  bpfmap delete -f maps/`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			interrupt.Report(c.Context(), func() string { return "nothing was deleted" })
			if len(in.paths) == 0 {
				return errNothing
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
	in.addPaths(c)
	addBPFFSFlag(c, &bpffs)
	c.Flags().BoolVar(&ignoreNotFound, "ignore-not-found", false, "succeed if a map doesn't exist")
	return c
}

func deleteAll(c *cobra.Command, e *locked.Engine, keys []revision.Key, ignoreNotFound bool) error {
	ctx := c.Context()
	var deleted interrupt.Count
	deleted.Of(ctx, len(keys), "maps deleted")
	var failed error
	for _, key := range keys {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r := e.Remove(ctx, key)
		switch {
		case r.Err != nil:
			c.PrintErrf("Error: %s: %s: %s\n", id(key), r.Reason, r.Message)
			failed = &ExitError{Code: 1}
		case r.Action == engine.ActionNone && ignoreNotFound:
		case r.Action == engine.ActionNone:
			c.PrintErrf("Error: %s is not managed on this machine\n", id(key))
			failed = &ExitError{Code: 1}
		default:
			deleted.Add(1)
			word := map[engine.Action]string{engine.ActionRetained: "released (pin kept)", engine.ActionGivenBack: "given back (pin kept)"}[r.Action]
			if word = cmp.Or(word, "deleted"); r.Message != "" {
				word += ": " + r.Message
			}
			if _, err := fmt.Fprintf(c.OutOrStdout(), "%s %s (map %d)\n", id(key), word, r.MapID); err != nil {
				return err
			}
		}
	}
	return failed
}
