// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/interrupt"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/inventory"
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
				return usagef("--interval %s: must be at least %s", t.interval, minInterval)
			}
			if o := screen(c); t.once || !o.IsTerminal() || isDocument(t.output) {
				return t.runOnce(c)
			}
			return t.run(c)
		},
	}
	addBPFFSFlag(c, &t.bpffs)
	t.which.add(c)
	addOutputFlag(c, &t.output, outTable, outWide, outJSON, outYAML)
	c.Flags().DurationVarP(&t.interval, "interval", "i", defaultInterval, "time between two looks")
	c.Flags().BoolVar(&t.once, "once", false, "print one table after one interval, and end")
	t.view.sort = sortFill
	c.Flags().Var(&choice{value: &t.view.sort, formats: sortNames()}, "sort", "what the maps are sorted by")
	_ = c.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(sortNames(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

// look reads the maps; the time of the last look tells how fast they change.
func (t *top) look(ctx context.Context) error {
	inv, err := inventory.ReadCounted(ctx, hostRoot(), t.bpffs)
	if err != nil {
		return err
	}
	t.view.limited = inv.Limited
	t.view.take(t.which.infos(&inv), time.Now())
	return nil
}

// runOnce looks twice, and prints what has changed.
func (t *top) runOnce(c *cobra.Command) error {
	ctx := c.Context()
	if err := t.look(ctx); err != nil {
		return err
	}
	if !pause(ctx, t.interval) {
		return context.Cause(ctx)
	}
	if err := t.look(ctx); err != nil {
		return err
	}
	if t.view.limited != nil {
		c.PrintErrf("Only pinned maps are listed: %v\n", t.view.limited)
	}
	if isDocument(t.output) {
		return writeDocument(c, t.output, t.view.document())
	}
	o := screen(c)
	return t.view.table(len(t.view.maps), t.output == outWide || o.Width() >= wideTop).Write(o)
}

// What is written to a terminal around the frames: the alternate screen, without a cursor, is put away at the end.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
)

// run shows frames until a key or a signal ends it.
func (t *top) run(c *cobra.Command) (err error) {
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	interrupt.Expect(c.Context())
	if err := t.look(ctx); err != nil {
		return err
	}
	o := screen(c)
	keys := make(chan byte)
	if in, is := c.InOrStdin().(*os.File); is && term.IsTerminal(int(in.Fd())) {
		before, err := term.MakeRaw(int(in.Fd()))
		if err != nil {
			return fmt.Errorf("read keys from the terminal: %w", err)
		}
		defer func() { _ = term.Restore(int(in.Fd()), before) }()
		go readKeys(ctx, in, keys)
	}
	if err := o.Control([]byte(enterScreen)); err != nil {
		return err
	}
	defer func() {
		if left := o.Control([]byte(leaveScreen)); err == nil {
			err = left
		}
	}()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	ticker := time.NewTicker(t.interval)
	defer ticker.Stop()
	for {
		if err := o.Control(t.view.frame(o, t.interval)); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-resized:
		case <-ticker.C:
			if err := t.look(ctx); err != nil && ctx.Err() == nil {
				return err
			}
		case key := <-keys:
			if isEnd(key) {
				return nil
			}
			t.view.key(key)
		}
	}
}

// isEnd says whether a key ends top: q, Ctrl-C and Ctrl-D, which raw terminals pass on, or the end of the input, 0.
func isEnd(key byte) bool { return key == 'q' || key == 'Q' || key == 3 || key == 4 || key == 0 }

// readKeys passes on what is typed. It is left behind in a read when ctx ends, and ends with the process.
func readKeys(ctx context.Context, in io.Reader, keys chan<- byte) {
	var b [1]byte
	for {
		n, err := in.Read(b[:])
		if err != nil || n == 0 {
			b[0] = 0
		}
		select {
		case keys <- b[0]:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// keyHelp is the last line of a frame.
const keyHelp = "sort: f fill  e entries  c change  m memory  n name  i id   q quit"
