// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/interrupt"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/local"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
	"github.com/bpfmap-io/bpfmap-operator/internal/contents"
	"github.com/bpfmap-io/bpfmap-operator/internal/footprint"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// minInterval keeps a mistyped interval from asking all nodes continuously.
const minInterval = 500 * time.Millisecond

// topOptions are the flags of the command top.
type topOptions struct {
	flags
	allNamespaces, once, byNode bool
	format                      string
	interval                    time.Duration
}

func newTop(f flags) *cobra.Command {
	o := topOptions{flags: f}
	c := &cobra.Command{
		Use:   "top [NAME]",
		Short: "Watch how full maps are on their nodes",
		Long: `Show again and again how full the maps of BPFMaps are in the kernels of their nodes: entries and how many came or went per
second, summed over the nodes; how full the fullest is; and kernel memory. --by-node has a line for each node. Types that can't
be counted, and large ones that the node's kernel doesn't count, have no entries.

Where standard output isn't a terminal, and with --once, -o json or yaml, one table is printed after one interval.
` + rights,
		Example: `  kubectl bpfmap top -n edge
  kubectl bpfmap top blocklist --by-node --interval 1s
  kubectl bpfmap top -A --once -o json | jq '.maps[] | select(.fillPercent > 90)'`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: f.factory.CompleteMaps(nil),
		RunE: func(c *cobra.Command, args []string) error {
			if o.interval < minInterval {
				return local.Usagef("--interval %s: must be at least %s", o.interval, minInterval)
			}
			of, err := o.of(args)
			if err != nil {
				return err
			}
			all, err := o.connect(c.Context())
			if err != nil {
				return err
			}
			defer all.close()
			return o.run(c, all, of)
		},
	}
	o.add(c, "node to ask (repeatable; default all)")
	structured.AddFlag(c, &o.format, structured.Table, structured.Wide, structured.JSON, structured.YAML)
	c.Flags().BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "the maps of all namespaces")
	c.Flags().BoolVar(&o.byNode, "by-node", false, "a line for each node of each map")
	c.Flags().BoolVar(&o.once, "once", false, "print one table after one interval, and end")
	c.Flags().DurationVarP(&o.interval, "interval", "i", 2*time.Second, "time between two looks")
	return c
}

// of is which maps are shown.
func (o *topOptions) of(args []string) (revision.Key, error) {
	switch {
	case o.allNamespaces && len(args) > 0:
		return revision.Key{}, local.Usagef("either the name of a BPFMap, or --all-namespaces, can be given")
	case o.allNamespaces:
		return revision.Key{}, nil
	case len(args) > 0:
		return keyOf(o.factory, args[0])
	}
	namespace, err := o.factory.Namespace()
	return revision.Key{Namespace: namespace}, err
}

// sample is what the nodes said at one time.
type sample struct {
	at   map[string]time.Time
	maps map[string][]contents.MapUsage // by node
}

func (o *topOptions) look(ctx context.Context, all *cluster, of revision.Key) (*sample, []failure) {
	names := all.names()
	found := newAnswers[[]contents.MapUsage](len(names))
	times := newAnswers[time.Time](len(names))
	failed := all.each(ctx, names, func(ctx context.Context, a *agent) error {
		var usages []contents.MapUsage
		if err := a.askJSON(ctx, &contents.Question{What: contents.Usage, Key: of}, &usages); err != nil {
			return err
		}
		found.put(a.node, usages)
		times.put(a.node, time.Now())
		return nil
	})
	return &sample{times.of, found.of}, failed
}

func (o *topOptions) run(c *cobra.Command, all *cluster, of revision.Key) error {
	ctx := c.Context()
	out := screen(c)
	before, _ := o.look(ctx, all, of) // who fails is told with the first table
	if !o.once && !structured.IsDocument(o.format) && out.IsTerminal() {
		return o.watch(c, out, all, of, before)
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(o.interval):
	}
	now, failed := o.look(ctx, all, of)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	rows := o.rows(before, now)
	switch {
	case structured.IsDocument(o.format):
		if err := structured.Print(out, o.format, topDocument{rows, failed}); err != nil {
			return err
		}
	case len(now.maps) > 0: // some node answered
		if err := o.table(rows).Write(out); err != nil {
			return err
		}
	}
	return exit(c, failed, 1)
}

// watch shows the table on a terminal again and again.
func (o *topOptions) watch(c *cobra.Command, out *terminal.Output, all *cluster, of revision.Key, before *sample) error {
	ctx := c.Context()
	interrupt.Expect(ctx) // it is how a person ends it
	now, failed := before, []failure(nil)
	return out.Show(ctx, c.InOrStdin(), &terminal.View{
		Lines: func() []string { return o.lines(out, o.rows(before, now), now, failed) },
		Look: func(ctx context.Context) (func(), error) {
			found, missing := o.look(ctx, all, of)
			return func() { before, now, failed = now, found, missing }, nil
		},
		Every: o.interval,
	})
}

// lines are what a terminal shows: as many maps as it has room for, and nodes that failed.
func (o *topOptions) lines(out *terminal.Output, rows []topRow, now *sample, failed []failure) []string {
	width, height := out.Width(), cmp.Or(out.Height(), 24)
	headline := fmt.Sprintf("%s  %s on %s, every %s", time.Now().Format(time.TimeOnly),
		text.Count(len(rows), "line", "lines"), text.Count(len(now.maps), "node", "nodes"), o.interval)
	if len(failed) > 0 {
		headline += fmt.Sprintf("; %s: %s: %s", text.Count(len(failed), "node didn't answer", "nodes didn't answer"), failed[0].Node, failed[0].Error)
	}
	room := max(height-3, 0) // the headline, the titles and the keys
	if hidden := len(rows) - room; hidden > 0 {
		headline += fmt.Sprintf("; %d more below", hidden)
		rows = rows[:room]
	}
	lines := append([]string{terminal.Cut(terminal.Sanitize(headline), width)}, o.table(rows).Lines(width, out.HasColour())...)
	return append(lines, terminal.Cut("q quit", width))
}

// topDocument is what -o json prints.
type topDocument struct {
	Maps   []topRow  `json:"maps"`
	Failed []failure `json:"failed,omitempty"`
}

// topRow is a map on its nodes, or on one.
type topRow struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Node      string `json:"node,omitempty"`
	Nodes     int    `json:"nodes"`
	Type      string `json:"type"`
	// Entries and Rate are sums; nil if a node doesn't tell.
	Entries *int64   `json:"entries,omitempty"`
	Rate    *float64 `json:"entriesPerSecond,omitempty"`
	// Fill is of the fullest node, in percent, MaxEntries of one node.
	Fill       *float64 `json:"fillPercent,omitempty"`
	MaxEntries uint32   `json:"maxEntries"`
	Memory     uint64   `json:"memlockBytes"`
	Errors     []string `json:"errors,omitempty"`
}

// rows are those of two looks, the fullest first.
func (o *topOptions) rows(before, now *sample) []topRow {
	byKey := map[string]*topRow{}
	all := []*topRow{}
	for node, usages := range now.maps {
		for i := range usages {
			u := &usages[i]
			key := u.Namespace + "/" + u.Name
			if o.byNode {
				key += " " + node
			}
			r := byKey[key]
			if r == nil {
				r = &topRow{Namespace: u.Namespace, Name: u.Name, Entries: new(int64), Rate: new(float64)}
				if o.byNode {
					r.Node = node
				}
				byKey[key] = r
				all = append(all, r)
			}
			r.add(node, u, before, now.at[node])
		}
	}
	rows := make([]topRow, len(all))
	for i, r := range all {
		slices.Sort(r.Errors)
		rows[i] = *r
	}
	slices.SortFunc(rows, func(a, b topRow) int {
		return cmp.Or(-cmp.Compare(value(a.Fill), value(b.Fill)), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Node, b.Node))
	})
	return rows
}

func value(f *float64) float64 {
	if f == nil {
		return -1
	}
	return *f
}

// add takes a node's map in.
func (r *topRow) add(node string, u *contents.MapUsage, before *sample, now time.Time) {
	r.Nodes++
	if u.Error != "" {
		r.Errors = append(r.Errors, node+": "+u.Error)
		r.Entries, r.Rate = nil, nil
		return
	}
	r.Type, r.MaxEntries = u.Type, max(r.MaxEntries, u.MaxEntries)
	r.Memory += u.MemlockBytes
	if u.Entries == nil {
		r.Entries, r.Rate = nil, nil
		return
	}
	if r.Entries != nil {
		*r.Entries += *u.Entries
	}
	if u.MaxEntries > 0 {
		fill := 100 * float64(*u.Entries) / float64(u.MaxEntries)
		if r.Fill == nil || *r.Fill < fill {
			r.Fill = &fill
		}
	}
	i := slices.IndexFunc(before.maps[node], func(b contents.MapUsage) bool {
		return b.Namespace == u.Namespace && b.Name == u.Name && b.MapID == u.MapID && b.Entries != nil
	})
	seconds := now.Sub(before.at[node]).Seconds()
	if i < 0 || seconds <= 0 || r.Rate == nil {
		r.Rate = nil // a new map, or another one
		return
	}
	*r.Rate += float64(*u.Entries-*before.maps[node][i].Entries) / seconds
}

func (o *topOptions) table(rows []topRow) *terminal.Table {
	t := &terminal.Table{Columns: []terminal.Column{{Title: "NAMESPACE", Shrink: 1}, {Title: "NAME", Shrink: 1}}}
	if o.byNode {
		t.Columns = append(t.Columns, terminal.Column{Title: "NODE", Shrink: 1})
	} else {
		t.Columns = append(t.Columns, terminal.Column{Title: "NODES", Right: true})
	}
	t.Columns = append(t.Columns, terminal.Column{Title: "TYPE", Shrink: 1}, terminal.Column{Title: "ENTRIES", Right: true}, terminal.Column{Title: "MAX", Right: true},
		terminal.Column{Title: "FILL", Right: true}, terminal.Column{Title: "RATE/S", Right: true}, terminal.Column{Title: "MEMORY", Right: true}, terminal.Column{Title: "PROBLEM", Shrink: 1})
	for i := range rows {
		r := &rows[i]
		where := any(r.Nodes)
		if o.byNode {
			where = r.Node
		}
		t.Row(r.Namespace, r.Name, where, cmp.Or(r.Type, "-"), orDash(r.Entries, "%d"), r.MaxEntries, orDash(r.Fill, "%.1f%%"), orDash(r.Rate, "%+.1f"),
			footprint.Format(int64(r.Memory)), strings.Join(r.Errors, "; "))
	}
	return t
}

func orDash[T int64 | float64](n *T, format string) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprintf(format, *n)
}
