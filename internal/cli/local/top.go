// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/interrupt"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/inventory"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
)

const (
	defaultInterval = 2 * time.Second
	// minInterval keeps a mistyped interval from looking at all maps continuously.
	minInterval = 100 * time.Millisecond
)

// top shows this machine's maps again and again.
type top struct {
	bpffs, output string
	which         mapFilter
	interval      time.Duration
	once          bool
	view          topView
}

func newTop() *cobra.Command {
	var t top
	c := &cobra.Command{
		Use:   "top",
		Short: "Watch how full this machine's maps are, and how that changes",
		Long: `Show the maps of this machine every few seconds: how many entries each has, how full it is, how many entries came
or went per second since the last look, and how much kernel memory it takes. What the kernel counts and which
capabilities that needs is as for list.

Keys: f, e, c, m, n and i sort by fill, entries, change, memory, name and id; q or Ctrl-C ends. Where standard output
isn't a terminal, and with --once, one table is printed after one interval.`,
		Example: `  bpfmap top
  bpfmap top -n edge --sort change --interval 1s
  bpfmap top --once -o json | jq '.maps[] | select(.fillPercent > 90)'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := t.which.check(); err != nil {
				return err
			}
			if t.interval < minInterval {
				return Usagef("--interval %s: must be at least %s", t.interval, minInterval)
			}
			if o := screen(c); t.once || !o.IsTerminal() || structured.IsDocument(t.output) {
				return t.runOnce(c)
			}
			return t.run(c)
		},
	}
	addBPFFSFlag(c, &t.bpffs)
	t.which.add(c)
	structured.AddFlag(c, &t.output, structured.Table, structured.Wide, structured.JSON, structured.YAML)
	c.Flags().DurationVarP(&t.interval, "interval", "i", defaultInterval, "time between two looks")
	c.Flags().BoolVar(&t.once, "once", false, "print one table after one interval, and end")
	t.view.sort = sortFill
	c.Flags().Var(&structured.Choice{Value: &t.view.sort, Words: sortNames()}, "sort", "what the maps are sorted by")
	_ = c.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(sortNames(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

// look reads the maps; the time of the last look tells how fast they change.
func (t *top) look(ctx context.Context) (renew func(), err error) {
	inv, err := inventory.ReadCounted(ctx, hostRoot(), t.bpffs)
	if err != nil {
		return nil, err
	}
	at := time.Now()
	return func() {
		t.view.limited = inv.Limited
		t.view.take(t.which.infos(&inv), at)
	}, nil
}

// lookNow looks, and takes in what it found.
func (t *top) lookNow(ctx context.Context) error {
	renew, err := t.look(ctx)
	if err != nil {
		return err
	}
	renew()
	return nil
}

// runOnce looks twice, and prints what has changed.
func (t *top) runOnce(c *cobra.Command) error {
	ctx := c.Context()
	if err := t.lookNow(ctx); err != nil {
		return err
	}
	if !pause(ctx, t.interval) {
		return context.Cause(ctx)
	}
	if err := t.lookNow(ctx); err != nil {
		return err
	}
	if t.view.limited != nil {
		c.PrintErrf("Only pinned maps are listed: %v\n", t.view.limited)
	}
	if structured.IsDocument(t.output) {
		return writeDocument(c, t.output, t.view.document())
	}
	o := screen(c)
	return t.view.table(len(t.view.maps), t.output == structured.Wide || o.Width() >= wideTop).Write(o)
}

// run shows frames until a key or a signal ends it.
func (t *top) run(c *cobra.Command) error {
	ctx := c.Context()
	interrupt.Expect(ctx)
	if err := t.lookNow(ctx); err != nil {
		return err
	}
	o := screen(c)
	return o.Show(ctx, c.InOrStdin(), &terminal.View{
		Lines: func() []string { return t.view.lines(o, t.interval) }, Look: t.look, Key: t.view.key, Every: t.interval,
	})
}

// keyHelp is the last line of a frame.
const keyHelp = "sort: f fill  e entries  c change  m memory  n name  i id   q quit"
