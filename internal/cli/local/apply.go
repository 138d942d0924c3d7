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
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/locked"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// applier brings this machine's maps to manifests.
type applier struct {
	in       inputFlags
	node     nodeFlags
	showPlan bool
	dryRun   bool
	output   string
	keep     watchFlags
	prune    pruneFlags
}

func newApply() *cobra.Command {
	a := applier{in: inputFlags{stateless: true}}
	c := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Apply manifests to this machine",
		Long: `Apply manifests to this machine's maps, without a cluster: through the same compiler, plan and engine
as the agent. Nothing is done unless every manifest is valid. Exit code 1 if a map couldn't be changed
as declared; the others are. Maps of a group (spec.group) that need new maps are replaced all or none; give
the manifests of all of them. --dry-run says what would be done, and does nothing.

With --prune, maps that apply made or adopted before and that no manifest declares any more are removed, as delete
does. It needs to be told of which namespaces: by --namespace, or --prune-namespace. Maps of a cluster are never
removed, nor is anything if a manifest isn't valid, a map couldn't be changed, or the manifests come from standard
input, which may have ended early.

With --watch it stays, and applies each change: of the manifests, of the files and ConfigMaps that they read, of
http sources at their intervals, and when entries expire. A manifest that can't be used is an error that is
printed; its map keeps the last good contents, and the others go on. Maps that others changed are set right every
--resync-period. A map whose manifest is removed stays. SIGINT and SIGTERM end it, with exit code 0.`,
		Example: `  bpfmap apply -f maps/
  bpfmap apply -f maps/ --namespace edge --prune --dry-run
  bpfmap apply -f /etc/bpfmap --watch
  kustomize build . | bpfmap apply -f - --plan`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.run(c) },
	}
	a.in.add(c)
	a.node.add(c)
	a.keep.add(c)
	a.prune.add(c)
	structured.AddFlag(c, &a.output, structured.Text, structured.JSON, structured.YAML)
	c.Flags().BoolVar(&a.dryRun, "dry-run", false, "say what would be done, and do nothing")
	c.Flags().BoolVar(&a.showPlan, "plan", false, "print the changes of each map's entries, as diff does")
	return c
}

func (a *applier) run(c *cobra.Command) error {
	interrupt.Report(c.Context(), func() string { return "nothing was applied" })
	if err := a.check(c); err != nil {
		return err
	}
	if a.keep.on {
		e, err := newEngine(c, a.node)
		if err != nil {
			return err
		}
		return watch(c, &a.in, &a.keep, e, a.showPlan)
	}
	maps, ok, err := a.in.compile(c)
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("nothing was applied")
	}
	e, err := newEngine(c, a.node)
	if err != nil {
		return err
	}
	results := &resultWriter{c: c, output: a.output}
	if a.dryRun {
		err = a.dryRunAll(c, e, maps, results)
	} else {
		err = a.applyAll(c, e, maps, results)
	}
	if c.Context().Err() != nil {
		return errors.Join(err, results.end())
	}
	if err == nil {
		err = a.prune.run(c, e, maps, a.dryRun, results)
	} else if a.prune.on {
		c.PrintErrln("Nothing was pruned, because of the errors")
	}
	return errors.Join(err, results.end())
}

// check says what is wrong with the flags.
func (a *applier) check(c *cobra.Command) error {
	if err := a.prune.check(&a.in); err != nil {
		return err
	}
	if a.keep.on {
		switch {
		case a.dryRun:
			return Usagef("--dry-run and --watch exclude each other")
		case a.prune.on:
			return Usagef("--prune and --watch exclude each other: a map whose manifest is removed stays")
		case structured.IsDocument(a.output):
			return Usagef("--output %s is one document, and --watch has no end", a.output)
		}
	}
	return a.keep.check(c, &a.in)
}

func (a *applier) applyAll(c *cobra.Command, e *locked.Engine, maps []declared, results *resultWriter) error {
	ctx := c.Context()
	var applied interrupt.Count
	applied.Of(ctx, len(maps), "manifests applied")
	progress := terminal.StartProgress(ctx, c.ErrOrStderr(), "Applying", len(maps))
	defer progress.Done()
	var failed error
	runs := newGroupRuns(e, maps)
	for _, d := range innerFirst(maps) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		progress.Say("Applying " + d.Name())
		r := runs.sync(ctx, d)
		progress.Add(1)
		result := resultOf(&r)
		if a.showPlan && !r.Plan.IsEmpty() {
			if err := results.showPlan(d, &r.Plan, &result); err != nil {
				return err
			}
		}
		if r.Err != nil {
			result.Action, result.Error = "failed", r.Message
			results.failed(result, r.Plan.Layouts)
			failed = &ExitError{Code: ExitFailed}
			continue
		}
		applied.Add(1)
		if err := results.done(result, id(d.rev.Key)+" "+outcome(r)); err != nil {
			return err
		}
	}
	return failed
}

// dryRunAll says what applyAll would do.
func (a *applier) dryRunAll(c *cobra.Command, e *locked.Engine, maps []declared, results *resultWriter) error {
	ctx := c.Context()
	var failed error
	groups := &groupPlans{byGroup(maps), map[revision.Key]*plan.Plan{}, map[revision.Key]error{}}
	for _, d := range innerFirst(maps) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p, err := e.Plan(ctx, d.rev)
		groups.plans[d.rev.Key], groups.errs[d.rev.Key] = &p, err
		result := appliedMap{BPFMap: d.Name(), Action: planned[p.Action], DryRun: true}
		switch {
		case groups.waitsForInner(d):
			result.Action = planned[plan.Replace]
		case err != nil:
			result.Action, result.Error = "failed", err.Error()
		case p.Action == plan.Stall:
			result.Action, result.Reason, result.Error = "failed", p.Reason, p.Message
		}
		if a.showPlan && err == nil && !p.IsEmpty() {
			if err := results.showPlan(d, &p, &result); err != nil {
				return err
			}
		}
		if result.Error != "" {
			results.failed(result, p.Layouts)
			failed = &ExitError{Code: ExitFailed}
			continue
		}
		line := id(d.rev.Key) + " " + result.Action
		if !p.Changes.IsEmpty() {
			line += ": " + p.Changes.Summary()
		}
		if err := results.done(result, line+" (dry run)"); err != nil {
			return err
		}
	}
	return failed
}

// planned is what kubectl would say of what a plan does.
var planned = map[plan.Action]string{
	plan.None: "unchanged", plan.Create: "created", plan.Adopt: "adopted", plan.Update: "configured",
	plan.Repair: "repaired", plan.Replace: "replaced", plan.Report: "drifted, and driftPolicy is Report",
}

// actionWords are what kubectl would say of what was done.
var actionWords = map[engine.Action]string{
	engine.ActionNone: "unchanged", engine.ActionCreated: "created", engine.ActionAdopted: "adopted",
	engine.ActionUpdated: "configured", engine.ActionReplaced: "replaced", engine.ActionRepaired: "repaired",
	engine.ActionRemoved: "deleted", engine.ActionRetained: "released (pin kept)", engine.ActionGivenBack: "given back (pin kept)",
}

// outcome is what kubectl would say, and the map's id and contents.
func outcome(r engine.Report) string {
	line := actionWords[r.Action]
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
