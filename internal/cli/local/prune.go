// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/locked"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// anyNamespace is the value of --prune-namespace for all of them.
const anyNamespace = "*"

// pruneFlags are those of apply --prune. What no manifest declares is a reason to remove a map only where it is said that
// the manifests are all there are, so there is no default scope.
type pruneFlags struct {
	on         bool
	namespaces []string
}

func (f *pruneFlags) add(c *cobra.Command) {
	c.Flags().BoolVar(&f.on, "prune", false, "remove maps that apply manages and that the manifests don't declare, in the namespaces of --namespace or --prune-namespace")
	c.Flags().StringSliceVar(&f.namespaces, "prune-namespace", nil, "namespaces whose maps --prune may remove; * for all (default that of --namespace)")
	completeFlag(c, "prune-namespace", completeNamespaces)
}

// check completes the flags, and says what is wrong with them.
func (f *pruneFlags) check(in *inputFlags) error {
	switch {
	case !f.on && len(f.namespaces) > 0:
		return Usagef("--prune-namespace is for --prune alone")
	case !f.on:
		return nil
	case slices.Contains(in.paths, "-"):
		return Usagef("--prune: standard input (-f -) may have ended early, and what is missing there would be removed: write the manifests to a file first")
	case len(f.namespaces) == 0 && in.namespace != "":
		f.namespaces = []string{in.namespace}
	case len(f.namespaces) == 0:
		return Usagef("--prune removes maps that no manifest declares any more: say of which namespaces, with --namespace, or --prune-namespace (* for all)")
	}
	return nil
}

// run removes what the command line manages in the scope and no manifest declares.
func (f *pruneFlags) run(c *cobra.Command, e *locked.Engine, maps []declared, dryRun bool, results *resultWriter) error {
	if !f.on {
		return nil
	}
	ctx := c.Context()
	records, err := e.Records(ctx)
	if err != nil {
		return fmt.Errorf("nothing was pruned: %w", err)
	}
	var failed error
	for _, key := range f.doomed(records, maps) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if dryRun {
			if err := results.done(appliedMap{BPFMap: key.String(), Action: "pruned", DryRun: true}, id(key)+" pruned (dry run)"); err != nil {
				return err
			}
			continue
		}
		r := e.Remove(ctx, key)
		result := resultOf(&r)
		if r.Err != nil {
			result.Action, result.Error = "failed", r.Message
			results.failed(result, "")
			failed = &ExitError{Code: ExitFailed}
			continue
		}
		if r.Action == engine.ActionNone {
			continue // somebody else has removed it meanwhile
		}
		result.Action = "pruned"
		if err := results.done(result, fmt.Sprintf("%s pruned, %s (map %d)", id(key), actionWords[r.Action], r.MapID)); err != nil {
			return err
		}
	}
	return failed
}

// doomed are the maps that are to be removed: those of no cluster, in the scope, that aren't declared.
func (f *pruneFlags) doomed(records []engine.Record, maps []declared) (keys []revision.Key) {
	isDeclared := map[revision.Key]bool{}
	for _, d := range maps {
		isDeclared[d.rev.Key] = true
	}
	for i := range records {
		r := &records[i]
		inScope := slices.Contains(f.namespaces, r.Key.Namespace) || slices.Contains(f.namespaces, anyNamespace)
		if r.UID == "" && inScope && !isDeclared[r.Key] {
			keys = append(keys, r.Key)
		}
	}
	return keys
}
