// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/element"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/interrupt"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/locked"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// The exit codes of diff are those of kubectl diff.
const (
	diffFound  = 1
	diffFailed = 2
)

func newDiff() *cobra.Command {
	in := inputFlags{stateless: true}
	var node nodeFlags
	c := &cobra.Command{
		Use:   "diff -f FILE",
		Short: "Show what apply would do",
		Long: `Show what apply would do to this machine's maps, and change nothing. Lines begin with + for entries
that would be added, ~ for changed values with the fields that differ, - for entries that would be deleted, and ! for properties
that can't be changed in place. It also compares maps that belong to a cluster, for example in the agent's pod.

Exit code 0 if there is nothing to do, 1 if there is, 2 for errors.`,
		Example: `  bpfmap diff -f maps/
  kubectl get bpfmap -n edge blocklist -o yaml | kubectl exec -i -n bpfmap-system ds/bpfmap-bpfmap-operator-agent -- /bpfmap diff -f -`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			code := 0
			maps, ok, err := in.compile(c)
			if err == nil {
				var e *locked.Engine
				if e, err = newEngine(c, node); err == nil {
					code, err = diffAll(c, e, maps)
				}
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
	return c
}

func diffAll(c *cobra.Command, e *locked.Engine, maps []declared) (code int, err error) {
	ctx := c.Context()
	var compared interrupt.Count
	compared.Of(ctx, len(maps), "manifests compared")
	groups := &groupPlans{byGroup(maps), map[revision.Key]*plan.Plan{}, map[revision.Key]error{}}
	for _, d := range innerFirst(maps) {
		if ctx.Err() != nil {
			return diffFailed, context.Cause(ctx)
		}
		p, err := e.Plan(ctx, d.rev)
		groups.plans[d.rev.Key], groups.errs[d.rev.Key] = &p, err
		if groups.waitsForInner(d) {
			compared.Add(1)
			code = max(code, diffFound)
			if _, err := fmt.Fprintf(c.OutOrStdout(), "%s: to be compared with its new inner maps, once they are there\n", d.rev.Key); err != nil {
				return diffFailed, err
			}
			continue
		}
		if err != nil {
			c.PrintErrf("Error: %s: %v\n", id(d.rev.Key), err)
			code = diffFailed
			continue
		}
		compared.Add(1)
		if err := writePlan(c.OutOrStdout(), d, p); err != nil {
			return diffFailed, err
		}
		if !p.IsEmpty() {
			code = max(code, diffFound)
		}
	}
	if _, err := fmt.Fprint(c.OutOrStdout(), groups.text()); err != nil {
		return diffFailed, err
	}
	return code, nil
}

// writePlan prints a plan, typed by the manifest's schema.
func writePlan(out io.Writer, d declared, p plan.Plan) error {
	var typing element.Typing
	var key plan.Formatter
	if d.rev.Shape.ValueSize > 0 {
		value, err := schema.New(&d.rev.ValueSchema)
		if err != nil {
			return err
		}
		typing.Value = value
		if size := p.Changes.ValueSize(); d.rev.Shape.IsPerCPU() && size > 0 {
			typing.CPUs = size / maptype.Slot(value.Size())
		}
	}
	var err error
	if d.rev.KeySchema != nil {
		if key, err = schema.New(d.rev.KeySchema); err != nil {
			return err
		}
	}
	_, err = fmt.Fprint(out, p.Text(key, valueText{typing}))
	return err
}

// valueText prints the values of a plan, which are as the kernel takes them.
type valueText struct{ typing element.Typing }

// Format is one value, or those of all CPUs.
func (v valueText) Format(b []byte) string { return string(v.typing.AppendValueText(nil, b)) }

// FormatDeclared is Format without the fields that programs own.
func (v valueText) FormatDeclared(b []byte) string {
	bare := v.typing
	if l, ok := bare.Value.(*schema.Layout); ok {
		bare.Value = l.WithoutProgram()
	}
	return string(bare.AppendValueText(nil, b))
}

// Difference is which fields differ.
func (v valueText) Difference(from, to []byte) string {
	return string(v.typing.AppendDifference(nil, from, to))
}
