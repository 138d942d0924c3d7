// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/interrupt"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/locked"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

func newDelete() *cobra.Command {
	var in inputFlags
	var bpffs, output string
	var ignoreNotFound bool
	c := &cobra.Command{
		Use:   "delete (NAMESPACE/NAME... | -f FILE)",
		Short: "Remove maps of BPFMaps from this machine",
		Long: `Remove the maps of BPFMaps from this machine, those named or those of manifests, as their deletionPolicy said when they
were applied. Delete, the default for maps that were made here, removes their pins; GiveBack, the default for maps that
were adopted, takes the declared entries out and leaves the pin and all else as it was found; Retain leaves
everything. Only the names in the manifests matter. The kernel frees a map when it has no pin and no program
uses it any more. Maps of a cluster are not removed: delete their BPFMaps there.`,
		Example: `  bpfmap delete -f maps/
  bpfmap delete edge/blocklist`,
		ValidArgsFunction: completeNames(0),
		Args:              validNames,
		RunE: func(c *cobra.Command, args []string) error {
			interrupt.Report(c.Context(), func() string { return "nothing was deleted" })
			keys, err := keysToDelete(c, &in, args)
			if err != nil {
				return err
			}
			e, err := newEngine(c, nodeFlags{bpffs: bpffs})
			if err != nil {
				return err
			}
			return deleteAll(c, e, keys, ignoreNotFound, output)
		},
	}
	in.addPaths(c)
	addBPFFSFlag(c, &bpffs)
	structured.AddFlag(c, &output, structured.Text, structured.JSON, structured.YAML)
	c.Flags().BoolVar(&ignoreNotFound, "ignore-not-found", false, "succeed if a map doesn't exist")
	return c
}

// keysToDelete are the names among args, or those in manifests.
func keysToDelete(c *cobra.Command, in *inputFlags, args []string) (keys []revision.Key, err error) {
	switch {
	case len(args) > 0 && len(in.paths) > 0:
		return nil, Usagef("%s: give either names of BPFMaps or -f", args[0])
	case len(args) == 0 && len(in.paths) == 0:
		return nil, Usagef("nothing to delete: NAMESPACE/NAME or -f FILE is needed")
	}
	for _, arg := range args {
		key, err := parseName(arg, in.namespace)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	if len(args) > 0 {
		return keys, nil
	}
	set := in.read(c)
	for _, m := range set.Manifests {
		keys = append(keys, revision.Key{Namespace: m.Map.Namespace, Name: m.Map.Name})
	}
	for _, p := range set.Problems {
		printError(c, p)
	}
	if len(set.Problems) > 0 {
		return nil, errors.New("nothing was deleted")
	}
	if len(keys) == 0 {
		return nil, errNoBPFMap
	}
	return keys, nil
}

func deleteAll(c *cobra.Command, e *locked.Engine, keys []revision.Key, ignoreNotFound bool, output string) error {
	ctx := c.Context()
	var deleted interrupt.Count
	deleted.Of(ctx, len(keys), "maps deleted")
	results := &resultWriter{c: c, output: output}
	var failed error
	for _, key := range keys {
		if ctx.Err() != nil {
			failed = context.Cause(ctx)
			break
		}
		r := e.Remove(ctx, key)
		result := resultOf(&r)
		switch {
		case r.Err != nil:
			result.Action, result.Error = "failed", r.Message
			results.failed(result, "")
			failed = &ExitError{Code: ExitFailed}
		case r.Action == engine.ActionNone && ignoreNotFound:
		case r.Action == engine.ActionNone:
			result.Action, result.Error = "failed", "is not managed on this machine"
			if structured.IsDocument(output) {
				results.maps = append(results.maps, result)
			}
			printError(c, fmt.Errorf("%s is not managed on this machine", id(key)))
			failed = &ExitError{Code: ExitFailed}
		default:
			deleted.Add(1)
			word := result.Action
			if r.Message != "" {
				word += ": " + r.Message
			}
			if err := results.done(result, fmt.Sprintf("%s %s (map %d)", id(key), word, r.MapID)); err != nil {
				return err
			}
		}
	}
	return errors.Join(failed, results.end())
}
