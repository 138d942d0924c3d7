// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/interrupt"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/locked"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

func newApply() *cobra.Command {
	in := inputFlags{stateless: true}
	var node nodeFlags
	var showPlan bool
	var keep watchFlags
	c := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Apply manifests to this machine",
		Long: `Apply manifests to this machine's maps, without a cluster: through the same compiler, plan and engine
as the agent. Nothing is done unless every manifest is valid. Exit code 1 if a map couldn't be changed
as declared; the others are. Maps of a group (spec.group) that need new maps are replaced all or none; give
the manifests of all of them.

With --watch it stays, and applies each change: of the manifests, of the files and ConfigMaps that they read, of
http sources at their intervals, and when entries expire. A manifest that can't be used is an error that is
printed; its map keeps the last good contents, and the others go on. Maps that others changed are set right every
--resync-period. A map whose manifest is removed stays. SIGINT and SIGTERM end it, with exit code 0.`,
		Example: `  bpfmap apply -f maps/
  bpfmap apply -f /etc/bpfmap --watch
  kustomize build . | bpfmap apply -f - --plan`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			interrupt.Report(c.Context(), func() string { return "nothing was applied" })
			if err := keep.check(c, &in); err != nil {
				return err
			}
			if keep.on {
				e, err := newEngine(c, node)
				if err != nil {
					return err
				}
				return watch(c, &in, &keep, e, showPlan)
			}
			maps, ok, err := in.compile(c)
			if err != nil {
				return err
			}
			if !ok {
				return errors.New("nothing was applied")
			}
			e, err := newEngine(c, node)
			if err != nil {
				return err
			}
			return applyAll(c, e, maps, showPlan)
		},
	}
	in.add(c)
	node.add(c)
	keep.add(c)
	c.Flags().BoolVar(&showPlan, "plan", false, "print the changes of each map's entries, as diff does")
	return c
}

func applyAll(c *cobra.Command, e *locked.Engine, maps []declared, showPlan bool) error {
	ctx := c.Context()
	var applied interrupt.Count
	applied.Of(ctx, len(maps), "manifests applied")
	var failed error
	runs := newGroupRuns(e, maps)
	for _, d := range innerFirst(maps) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r := runs.sync(ctx, d)
		if showPlan && !r.Plan.IsEmpty() {
			if err := writePlan(c.OutOrStdout(), d, r.Plan); err != nil {
				return err
			}
		}
		if r.Err != nil {
			c.PrintErrf("Error: %s: %s: %s\n%s", id(d.rev.Key), r.Reason, r.Message, r.Plan.Layouts)
			failed = &ExitError{Code: 1}
			continue
		}
		applied.Add(1)
		if _, err := fmt.Fprintln(c.OutOrStdout(), id(d.rev.Key)+" "+outcome(r)); err != nil {
			return err
		}
	}
	return failed
}

// outcome is what kubectl would say, and the map's id and contents.
func outcome(r engine.Report) string {
	words := map[engine.Action]string{
		engine.ActionNone: "unchanged", engine.ActionCreated: "created", engine.ActionAdopted: "adopted",
		engine.ActionUpdated: "configured", engine.ActionReplaced: "replaced", engine.ActionRepaired: "repaired",
	}
	line := words[r.Action]
	switch {
	case r.Drift != nil && !r.Drift.Repaired:
		line = "drifted, and driftPolicy is Report: " + r.Drift.Summary
	case r.Drift != nil:
		line += ": " + r.Drift.Summary
	case r.Message != "":
		line += ": " + r.Message
	}
	line += fmt.Sprintf(" (map %d", r.MapID)
	if r.Entries != nil {
		line += ", " + text.Count(*r.Entries, "entry", "entries")
	}
	if r.Frozen {
		line += ", frozen"
	}
	line += ")"
	for _, m := range r.Replaced {
		if len(m.Users) > 0 {
			line += fmt.Sprintf("; map %d is still used by %s", m.ID, strings.Join(m.Users, ", "))
		}
	}
	return line
}

// innerFirst puts the inner maps of maps of maps before these, and keeps the order otherwise.
func innerFirst(maps []declared) []declared {
	var ordered []declared
	placed := map[revision.Key]bool{}
	var place func(d declared)
	place = func(d declared) {
		if placed[d.rev.Key] {
			return
		}
		placed[d.rev.Key] = true
		for _, l := range d.rev.References {
			if i := slices.IndexFunc(maps, func(o declared) bool {
				return l.Type == v1alpha1.TypeMapRef && o.rev.Key == revision.Key{Namespace: d.rev.Key.Namespace, Name: l.Name}
			}); i >= 0 {
				place(maps[i])
			}
		}
		ordered = append(ordered, d)
	}
	for _, d := range maps {
		place(d)
	}
	return ordered
}
