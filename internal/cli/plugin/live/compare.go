// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/local"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/contents"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// The exit codes of compare are those of kubectl diff.
const (
	differs = 1
	failed  = 2
)

// compareOptions are the flags of the command compare.
type compareOptions struct {
	subject
	format   string
	all      bool
	limit    int
	revision bool
}

func newCompare(f flags) *cobra.Command {
	o := compareOptions{subject: subject{flags: f}}
	c := &cobra.Command{
		Use:   "compare (NAME | --pin PATH) [--node NODE]...",
		Short: "Show how a map differs between nodes and from its revision",
		Long: `Compare what a map holds in the kernels of nodes: of those that are named, or of all that have the BPFMap's map. Each node
answers with a digest; entries are read only where these differ, from one node of each kind. Most nodes' contents are what the
others are compared with: lines begin with + for entries that only the others have, - for those that they lack, and ~ for
values that differ. Then each kind is compared with the revision that the node is to hold, as bpfmap diff does there.

What programs own of each value isn't compared, unless --all is given. A map that programs change while it is read can differ
without anything being wrong. Names of interfaces and BPFMaps are compared, not their numbers.

Exit code 0 if all are the same and as declared, 1 if not, 2 for errors, also of single nodes.
` + rights,
		Example: `  kubectl bpfmap compare -n edge blocklist
  kubectl bpfmap compare edge/blocklist --node worker-1,worker-2 -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if o.limit < 1 {
				return local.Usagef("--limit %d: must be at least 1", o.limit)
			}
			err := o.run(c, args)
			if _, isCode := err.(*local.ExitError); err != nil && !isCode && c.Context().Err() == nil { //nolint:errorlint // as it was made
				c.PrintErrf("Error: %v\n", err)
				err = &local.ExitError{Code: failed}
			}
			return err
		},
	}
	o.add(c, "node to compare (repeatable; default all that have the map)")
	structured.AddFlag(c, &o.format, structured.Text, structured.JSON, structured.YAML)
	c.Flags().BoolVar(&o.all, "all", false, "compare what programs own of values, too")
	c.Flags().IntVar(&o.limit, "limit", 20, "how many differences are printed of each kind of contents; -o json and yaml have all")
	c.Flags().BoolVar(&o.revision, "revision", true, "compare with the revision, too")
	return c
}

// kind is what one or several nodes hold.
type kind struct {
	Nodes    []string `json:"nodes"`
	Entries  int      `json:"entries"`
	Digest   string   `json:"digest"`
	Complete bool     `json:"complete"`
	// Shape is what the kernel says of the map itself.
	Shape string `json:"shape"`
	// Differences are from the first kind.
	Differences *differences `json:"differences,omitempty"`
	// Plan is what would bring it to its revision; nil if that isn't known.
	Plan *contents.Planned `json:"plan,omitempty"`
}

// report is what compare prints.
type report struct {
	BPFMap string    `json:"bpfMap,omitempty"`
	Pin    string    `json:"pin,omitempty"`
	Kinds  []*kind   `json:"kinds"`
	Failed []failure `json:"failed,omitempty"`
	// Same says that all nodes that answered hold the same, AsDeclared that it is what the revision says.
	Same       bool  `json:"same"`
	AsDeclared *bool `json:"asDeclared,omitempty"`
}

func (o *compareOptions) run(c *cobra.Command, args []string) error {
	key, err := o.key(args)
	if err != nil {
		return err
	}
	all, err := o.open(c, key)
	if err != nil {
		return err
	}
	defer all.close()
	q := &contents.Question{What: contents.Digest, Key: key, Pin: o.pin, Declared: !o.all, Salt: rand.Text()}
	r := &report{BPFMap: "", Pin: o.pin}
	if o.pin == "" {
		r.BPFMap = key.String()
	}
	r.Kinds, r.Failed = digests(c.Context(), all, q)
	if len(r.Kinds) > 1 {
		r.Failed = append(r.Failed, o.differences(c.Context(), all, q, r.Kinds)...)
	}
	if o.revision && o.pin == "" {
		r.plans(c.Context(), all, q)
	}
	r.Same = len(r.Kinds) <= 1
	if err := context.Cause(c.Context()); err != nil {
		return err
	}
	if err := r.print(screen(c), o); err != nil {
		return err
	}
	switch {
	case len(r.Failed) > 0:
		return exit(c, r.Failed, failed)
	case !r.Same || r.AsDeclared != nil && !*r.AsDeclared:
		return &local.ExitError{Code: differs}
	}
	return nil
}

// digests asks all nodes, and sorts them into kinds: the one of most nodes first.
func digests(ctx context.Context, all *cluster, q *contents.Question) ([]*kind, []failure) {
	names := all.names()
	found := newAnswers[*contents.Summary](len(names))
	failures := all.each(ctx, names, func(ctx context.Context, a *agent) error {
		s := &contents.Summary{}
		if err := a.askJSON(ctx, q, s); err != nil {
			return err
		}
		found.put(a.node, s)
		return nil
	})
	byShape := map[string]*kind{}
	var kinds []*kind
	for _, name := range names {
		s, ok := found.get(name)
		if !ok {
			continue
		}
		shape := shapeOf(s)
		k := byShape[shape+s.Digest]
		if k == nil {
			k = &kind{Entries: s.Entries, Digest: s.Digest, Complete: true, Shape: shape}
			byShape[shape+s.Digest] = k
			kinds = append(kinds, k)
		}
		k.Nodes = append(k.Nodes, name)
		k.Complete = k.Complete && s.Complete
	}
	slices.SortStableFunc(kinds, func(a, b *kind) int { return cmp.Compare(len(b.Nodes), len(a.Nodes)) })
	return kinds, failures
}

// shapeOf is what programs see of a map besides its entries.
func shapeOf(s *contents.Summary) string {
	shape := fmt.Sprintf("%s, key %d bytes, value %d bytes, max entries %d", s.Type, s.KeySize, s.ValueSize, s.MaxEntries)
	if len(s.Flags) > 0 {
		shape += ", " + strings.Join(s.Flags, "|")
	}
	if s.Frozen {
		shape += ", frozen"
	}
	return shape
}

// differences reads one node of each kind, and compares the others with the first kind.
func (o *compareOptions) differences(ctx context.Context, all *cluster, q *contents.Question, kinds []*kind) []failure {
	read := *q
	read.What, read.Format, read.Salt = contents.Elements, "json", ""
	representatives := make([]string, len(kinds))
	for i, k := range kinds {
		representatives[i] = k.Nodes[0]
	}
	found := newAnswers[elements](len(kinds))
	failures := all.each(ctx, representatives, func(ctx context.Context, a *agent) error {
		got, err := a.elements(ctx, &read)
		if err == nil {
			found.put(a.node, got)
		}
		return err
	})
	base, ok := found.get(kinds[0].Nodes[0])
	if !ok {
		return failures
	}
	for _, k := range kinds[1:] {
		if other, ok := found.get(k.Nodes[0]); ok {
			k.Differences = base.differences(other)
		}
	}
	return failures
}

// plans asks one node of each kind what would bring it to its revision.
func (r *report) plans(ctx context.Context, all *cluster, q *contents.Question) {
	names := make([]string, len(r.Kinds))
	for i, k := range r.Kinds {
		names[i] = k.Nodes[0]
	}
	found := newAnswers[*contents.Planned](len(names))
	r.Failed = append(r.Failed, all.each(ctx, names, func(ctx context.Context, a *agent) error {
		p := &contents.Planned{}
		if err := a.askJSON(ctx, &contents.Question{What: contents.Plan, Key: q.Key}, p); err != nil {
			return fmt.Errorf("compare with the revision: %w", err)
		}
		found.put(a.node, p)
		return nil
	})...)
	asDeclared := true
	for _, k := range r.Kinds {
		plan, ok := found.get(k.Nodes[0])
		if !ok {
			return // that isn't known
		}
		k.Plan = plan
		asDeclared = asDeclared && plan.InSync
	}
	if len(r.Kinds) > 0 {
		r.AsDeclared = &asDeclared
	}
}

func (r *report) print(out io.Writer, o *compareOptions) error {
	if structured.IsDocument(o.format) {
		return structured.Print(out, o.format, r)
	}
	var b bytes.Buffer
	about, answered := cmp.Or(r.BPFMap, r.Pin), 0
	for _, k := range r.Kinds {
		answered += len(k.Nodes)
	}
	switch {
	case answered == 0:
		fmt.Fprintf(&b, "%s: no node answered\n", about)
	case r.Same:
		fmt.Fprintf(&b, "%s: the same on %s\n", about, text.Count(answered, "node", "nodes"))
	default:
		fmt.Fprintf(&b, "%s: %s on %s\n", about, text.Count(len(r.Kinds), "kind of contents", "different contents"), text.Count(answered, "node", "nodes"))
	}
	for i, k := range r.Kinds {
		k.write(&b, i, r.Kinds[0], o.limit)
	}
	_, err := out.Write(b.Bytes())
	return err
}

func (k *kind) write(b *bytes.Buffer, i int, base *kind, limit int) {
	fmt.Fprintf(b, "%s: %s", nodeList(k.Nodes), text.Count(k.Entries, "entry", "entries"))
	if !k.Complete {
		b.WriteString(" (it changed while it was read: some may be missing)")
	}
	b.WriteByte('\n')
	if i > 0 && k.Shape != base.Shape {
		fmt.Fprintf(b, "  ! %s, where %s\n", k.Shape, nodeList(base.Nodes)+": "+base.Shape)
	}
	if k.Differences != nil {
		k.Differences.write(b, limit)
	}
	switch {
	case k.Plan == nil:
	case k.Plan.InSync:
		fmt.Fprintf(b, "  as revision %s says\n", k.Plan.Revision)
	default:
		fmt.Fprintf(b, "  from revision %s:\n", k.Plan.Revision)
		for line := range strings.Lines(k.Plan.Text) {
			b.WriteString("    " + line)
		}
	}
}
