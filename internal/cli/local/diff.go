// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/interrupt"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/locked"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// The exit codes of diff are those of diff(1) and kubectl diff.
const (
	diffFound  = ExitFailed
	diffFailed = ExitUsage
)

// lineFlags say how many changed entries are printed.
type lineFlags struct {
	most int
	all  bool
}

func (f *lineFlags) add(c *cobra.Command) {
	c.Flags().IntVar(&f.most, "max-lines", plan.MaxLines, "changed entries that are printed of each map; -1 for all")
	c.Flags().BoolVarP(&f.all, "all", "a", false, "print all changed entries, as --max-lines=-1 does")
	c.MarkFlagsMutuallyExclusive("max-lines", "all")
}

// limit is how many lines of entries are printed; below 0 all. A document has all of them, unless it was said otherwise.
func (f *lineFlags) limit(c *cobra.Command, output string) int {
	if f.all || f.most < 0 || structured.IsDocument(output) && !c.Flags().Changed("max-lines") {
		return -1
	}
	return f.most
}

func newDiff() *cobra.Command {
	in := inputFlags{stateless: true}
	var node nodeFlags
	var lines lineFlags
	var output string
	c := &cobra.Command{
		Use:   "diff -f FILE [NAMESPACE/NAME...]",
		Short: "Show what apply would do",
		Long: `Show what apply would do to this machine's maps, and change nothing. Lines begin with + for entries
that would be added, ~ for changed values with the fields that differ, before and after, - for entries that would be
deleted, with the values that are there, and ! for properties that can't be changed in place. It also compares maps that
belong to a cluster, for example in the agent's pod. Names pick BPFMaps of the manifests.

Exit code 0 if there is nothing to do, 1 if there is, 2 for errors, also in the command line.`,
		Example: `  bpfmap diff -f maps/
  bpfmap diff -f maps/ edge/blocklist --all
  bpfmap diff -f maps/ -o json | jq -r '.maps[] | select(.action != "") | .bpfMap'
  kubectl get bpfmap -n edge blocklist -o yaml | kubectl exec -i -n bpfmap-system ds/bpfmap-bpfmap-operator-agent -- /bpfmap diff -f -`,
		ValidArgsFunction: completeNames(0),
		Args:              validNames,
		RunE: func(c *cobra.Command, args []string) error {
			code := 0
			maps, ok, err := in.compile(c)
			if err == nil {
				maps, err = pick(maps, args, in.namespace)
			}
			if err == nil {
				limit := lines.limit(c, output)
				node.noted = limit
				var e *locked.Engine
				if e, err = newEngine(c, node); err == nil {
					code, err = diffAll(c, e, maps, &planWriter{c: c, output: output, limit: limit})
				}
			}
			if usage := (*UsageError)(nil); errors.As(err, &usage) {
				return err
			}
			if err != nil && c.Context().Err() == nil {
				printError(c, err)
			}
			if err != nil || !ok {
				code = diffFailed
			}
			if code != 0 {
				return &ExitError{Code: code}
			}
			return nil
		},
	}
	in.add(c)
	node.add(c)
	lines.add(c)
	structured.AddFlag(c, &output, structured.Text, structured.JSON, structured.YAML)
	return c
}

// validNames takes names of BPFMaps, and nothing that looks like a file.
func validNames(_ *cobra.Command, args []string) error {
	for _, arg := range args {
		if _, err := parseName(arg, ""); err != nil {
			return fmt.Errorf("unexpected argument %q", arg)
		}
	}
	return nil
}

// pick are the manifests with some names; all if there are none.
func pick(maps []declared, names []string, namespace string) ([]declared, error) {
	if len(names) == 0 {
		return maps, nil
	}
	var picked []declared
	for _, name := range names {
		key, err := parseName(name, namespace)
		if err != nil {
			return nil, err
		}
		before := len(picked)
		for _, d := range maps {
			if d.rev.Key == key {
				picked = append(picked, d)
			}
		}
		if len(picked) == before {
			return nil, fmt.Errorf("no valid BPFMap %s is in the manifests", key)
		}
	}
	return picked, nil
}

func diffAll(c *cobra.Command, e *locked.Engine, maps []declared, w *planWriter) (code int, err error) {
	ctx := c.Context()
	var compared interrupt.Count
	compared.Of(ctx, len(maps), "manifests compared")
	progress := terminal.StartProgress(ctx, c.ErrOrStderr(), "Comparing", len(maps))
	defer progress.Done()
	groups := &groupPlans{byGroup(maps), map[revision.Key]*plan.Plan{}, map[revision.Key]error{}}
	for _, d := range innerFirst(maps) {
		if ctx.Err() != nil {
			return diffFailed, context.Cause(ctx)
		}
		progress.Say("Comparing " + d.Name())
		p, err := e.Plan(ctx, d.rev)
		groups.plans[d.rev.Key], groups.errs[d.rev.Key] = &p, err
		progress.Add(1)
		switch {
		case groups.waitsForInner(d):
			compared.Add(1)
			code = max(code, diffFound)
			err = w.waits(d)
		case err != nil:
			code = diffFailed
			w.failed(d, err)
			err = nil
		default:
			compared.Add(1)
			if !p.IsEmpty() {
				code = max(code, diffFound)
			}
			err = w.plan(d, &p)
		}
		if err != nil {
			return diffFailed, err
		}
	}
	if err := w.end(groups.text()); err != nil {
		return diffFailed, err
	}
	return code, nil
}

// planWriter writes plans, as lines for people or as one document.
type planWriter struct {
	c      *cobra.Command
	output string
	// limit is how many changed entries of each map are written; below 0 all.
	limit int
	maps  []plannedMap
}

// waits says of a map of maps that what it is to hold is replaced as well.
func (w *planWriter) waits(d declared) error {
	const why = "to be compared with its new inner maps, once they are there"
	if structured.IsDocument(w.output) {
		w.maps = append(w.maps, plannedMap{BPFMap: d.Name(), Action: string(plan.Replace), Message: why})
		return nil
	}
	return w.lines(fmt.Sprintf("%s: %s\n", d.rev.Key, why))
}

// failed says why a map can't be compared.
func (w *planWriter) failed(d declared, err error) {
	if structured.IsDocument(w.output) {
		w.maps = append(w.maps, plannedMap{BPFMap: d.Name(), Error: err.Error()})
	}
	printError(w.c, fmt.Errorf("%s: %w", id(d.rev.Key), err))
}

// plan writes a plan, typed by the manifest's schema.
func (w *planWriter) plan(d declared, p *plan.Plan) error {
	f, err := formattersOf(d, p)
	if err != nil {
		return err
	}
	if structured.IsDocument(w.output) {
		w.maps = append(w.maps, plannedOf(d, p, f, w.limit))
		return nil
	}
	return w.lines(p.TextOf(f.key, f.value, w.limit))
}

// end writes what is said after all plans.
func (w *planWriter) end(groups string) error {
	if !structured.IsDocument(w.output) {
		return w.lines(groups)
	}
	if w.maps == nil {
		w.maps = []plannedMap{}
	}
	return writeDocument(w.c, w.output, struct {
		Maps   []plannedMap `json:"maps"`
		Groups []string     `json:"groups,omitempty"`
	}{w.maps, strings.FieldsFunc(groups, func(r rune) bool { return r == '\n' })})
}

func (w *planWriter) lines(text string) error { return screen(w.c).Lines(text, planStyle) }

// planStyle is the colour of a line of a plan.
func planStyle(line string) terminal.Style {
	switch sign, isEntry := strings.CutPrefix(line, "  "); {
	case !isEntry && strings.Contains(line, ": stalled ("):
		return terminal.Red
	case !isEntry && strings.HasSuffix(line, ": in sync"):
		return terminal.Faint
	case !isEntry:
		return terminal.Bold
	case strings.HasPrefix(sign, "+"):
		return terminal.Green
	case strings.HasPrefix(sign, "-"), strings.HasPrefix(sign, "! "):
		return terminal.Red
	case strings.HasPrefix(sign, "~"):
		return terminal.Yellow
	}
	return terminal.Plain
}

// plannedMap is what diff says of one map with -o json.
type plannedMap struct {
	BPFMap string `json:"bpfMap"`
	// Action is what apply would do: create, adopt, update, repair, report, replace or stall; empty for nothing.
	Action  string `json:"action"`
	Drift   string `json:"drift,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	Error   string `json:"error,omitempty"`
	// Differences are the properties that can't be changed in place.
	Differences []plannedDifference `json:"differences,omitempty"`
	// Added, Changed and Deleted count the entries, of which Entries may have fewer with --max-lines.
	Added   int            `json:"added"`
	Changed int            `json:"changed"`
	Deleted int            `json:"deleted"`
	Entries []plannedEntry `json:"entries,omitempty"`
	Freeze  bool           `json:"freeze,omitempty"`
	Pin     bool           `json:"pin,omitempty"`
}

type plannedDifference struct {
	Field string `json:"field"`
	Have  string `json:"have"`
	Want  string `json:"want"`
}

// plannedEntry is one changed entry. Keys and values are as a manifest has them; From is absent where it isn't known what
// is there, and From and To of per-CPU maps are lists of all CPUs' values.
type plannedEntry struct {
	Change string          `json:"change"` // added, changed or deleted
	Key    json.RawMessage `json:"key,omitempty"`
	From   json.RawMessage `json:"from,omitempty"`
	To     json.RawMessage `json:"to,omitempty"`
}

// plannedOf is a plan for programs.
func plannedOf(d declared, p *plan.Plan, f *formatters, limit int) plannedMap {
	m := plannedMap{
		BPFMap: d.Name(), Action: string(p.Action), Drift: string(p.Drift), Reason: p.Reason, Message: p.Message,
		Added: p.Changes.Insert.Len(), Changed: p.Changes.Updates(), Deleted: p.Changes.Deletes(), Freeze: p.Freeze, Pin: p.Pin,
	}
	for _, diff := range p.Differences {
		m.Differences = append(m.Differences, plannedDifference{diff.Field, diff.Have, diff.Want})
	}
	words := map[plan.Sign]string{plan.Added: "added", plan.Changed: "changed", plan.Deleted: "deleted"}
	for e := range p.Changes.Edits() {
		if len(m.Entries) == limit {
			break
		}
		m.Entries = append(m.Entries, plannedEntry{words[e.Sign], f.keyJSON(e.Key), f.valueJSON(e.From), f.valueJSON(e.To)})
	}
	return m
}
