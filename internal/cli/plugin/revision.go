// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/local"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/contents"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/kube"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// defaultLimit is how many entries are shown unless --limit says otherwise.
const defaultLimit = 100

// newRevision is the command revision.
func newRevision(f *kube.Factory) *cobra.Command {
	c := &cobra.Command{
		Use:   "revision",
		Short: "Show and compare what revisions of BPFMaps hold",
		Long: `Show and compare what revisions of BPFMaps hold: the entries, typed by the revision's schemas, and the settings.

This needs the right to get bpfmaprevisions and bpfmapchunks, which the operator's cluster role "…-revision-viewer" has. The roles
viewer and editor don't, because revisions hold what comes from Secrets, too.`,
	}
	c.AddCommand(newRevisionShow(f), newRevisionDiff(f))
	return c
}

// shower shows a revision.
type shower struct {
	number int64
	page   contents.Page
	output string
	reveal bool
}

func newRevisionShow(f *kube.Factory) *cobra.Command {
	var s shower
	c := &cobra.Command{
		Use:   "show (REVISION | MAP [--revision NUMBER])",
		Short: "Show what a revision holds",
		Long: `Show what a revision holds: its settings, and its entries in the order of their keys. With the name of a BPFMap it is the
newest revision, or the one of --revision. -o yaml and json print the entries as a manifest has them, under "entries".`,
		Example: `  kubectl bpfmap revision show blocklist -n edge
  kubectl bpfmap revision show blocklist-3 -n edge --limit 0 -o yaml`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: f.CompleteRevisions,
		RunE: func(c *cobra.Command, args []string) error {
			if s.page.Limit < 0 || s.page.Offset < 0 {
				return local.Usagef("--limit and --offset must not be negative")
			}
			reader, namespace, name, err := f.Named(args[0])
			if err != nil {
				return err
			}
			object, err := revisionOf(c.Context(), reader, namespace, name, s.number)
			if err != nil {
				return err
			}
			if object.Spec.Sensitive && !s.reveal && structured.IsDocument(s.output) {
				return fmt.Errorf("the entries of revision %s come from a Secret: --show-sensitive prints them", object.Name)
			}
			return s.show(c, reader, object)
		},
	}
	c.Flags().Int64Var(&s.number, "revision", 0, "number of the BPFMap's revision (default: the newest)")
	c.Flags().IntVar(&s.page.Limit, "limit", defaultLimit, "how many entries to show; 0 means all")
	c.Flags().IntVar(&s.page.Offset, "offset", 0, "how many entries to leave out before")
	structured.AddFlag(c, &s.output, structured.Text, structured.JSON, structured.YAML)
	c.Flags().BoolVar(&s.reveal, "show-sensitive", false, "show entries that come from a Secret")
	_ = c.RegisterFlagCompletionFunc("revision", f.CompleteRevisionNumbers)
	return c
}

// revisionOf is the revision of a name, else one of the BPFMap of that name.
func revisionOf(ctx context.Context, c client.Reader, namespace, name string, number int64) (*v1alpha1.BPFMapRevision, error) {
	if number == 0 {
		object, err := kube.GetRevision(ctx, c, namespace, name)
		if err == nil || !kube.IsNotFound(err) {
			return object, err
		}
	}
	m, err := kube.GetMap(ctx, c, namespace, name)
	if err != nil {
		if number == 0 && kube.IsNotFound(err) {
			return nil, fmt.Errorf("there is neither a BPFMapRevision nor a BPFMap %s in namespace %s", name, namespace)
		}
		return nil, err
	}
	revisions, err := kube.ListRevisions(ctx, c, namespace, name)
	if err != nil {
		return nil, err
	}
	return find(m, revisions, number)
}

func (s *shower) show(c *cobra.Command, reader client.Reader, object *v1alpha1.BPFMapRevision) error {
	rev, err := contents.Read(c.Context(), reader, object)
	if err != nil {
		return err
	}
	out := terminal.Of(c.OutOrStdout())
	if s.output == structured.Text {
		head(out, object)
	}
	if object.Spec.Sensitive && !s.reveal {
		out.Printf("%s from a Secret: not shown (--show-sensitive shows them)\n", text.Count(object.Spec.EntryCount, "entry", "entries"))
		return out.Flush()
	}
	written, err := s.entries(out, object, rev)
	if err != nil {
		return err
	}
	if rest := rev.Contents.Len - s.page.Offset - written; rest > 0 {
		c.PrintErrf("… and %s: --offset %d shows the next, --limit 0 all\n", text.Count(rest, "more entry", "more entries"), s.page.Offset+written)
	}
	return out.Flush()
}

// entries writes a page of the entries, and returns how many that were.
func (s *shower) entries(out *terminal.Output, object *v1alpha1.BPFMapRevision, rev *revision.Revision) (written int, err error) {
	switch s.output {
	case structured.JSON:
		out.Printf("{\"namespace\": %q, \"revision\": %q, \"entries\": [", object.Namespace, object.Name)
		if written, err = contents.Entries(out, rev, s.page, contents.JSON); err == nil {
			out.Printf("]}\n")
		}
		return written, err
	case structured.YAML:
		out.Printf("# %s %s\nentries:%s\n", object.Namespace, object.Name, map[bool]string{true: " []"}[rev.Contents.Len == 0])
		return contents.Entries(out, rev, s.page, contents.YAML)
	}
	return contents.Entries(out, rev, s.page, contents.Text)
}

// head are a revision's settings.
func head(out *terminal.Output, r *v1alpha1.BPFMapRevision) {
	s := &r.Spec
	out.Printf("revision %s of BPFMap %s/%s, number %d\n", r.Name, r.Namespace, s.MapName, r.Number())
	out.Printf("  %s, key %s, value %s, at most %s\n", s.Type, text.Count(s.KeySize, "byte", "bytes"), text.Count(s.ValueSize, "byte", "bytes"), text.Count(s.MaxEntries, "entry", "entries"))
	flags := make([]string, len(s.Flags))
	for i, f := range s.Flags {
		flags[i] = string(f)
	}
	if len(flags) > 0 {
		out.Printf("  flags %s\n", strings.Join(flags, "|"))
	}
	out.Printf("  sync %s, drift %s, replace %s%s\n", s.SyncPolicy, s.DriftPolicy, s.ReplacePolicy, map[bool]string{true: ", frozen"}[s.Freeze])
	out.Printf("  pin %s, for %s\n", pinText(&s.Pin), selectorText(s.NodeSelector))
	if s.Group != nil {
		out.Printf("  group %s\n", groupText(s.Group))
	}
	out.Printf("  %s, %s, may go to %s nodes\n", text.Count(s.EntryCount, "entry", "entries"), s.Digest, reach(r))
	if why := r.Status.Rollout.RolledBack; why != "" {
		out.Printf("  rolled back: %s\n", terminal.Sanitize(why))
	}
}

// revisionsDiffer is the document of revision diff.
type revisionsDiffer struct {
	From string `json:"from"`
	To   string `json:"to"`
	delta
}

func newRevisionDiff(f *kube.Factory) *cobra.Command {
	var p deltas
	c := &cobra.Command{
		Use:   "diff (REVISION | NUMBER) (REVISION | NUMBER)",
		Short: "Compare two revisions",
		Long: `Compare two revisions: settings and entries that differ, from the first to the second one. Lines begin with + for entries that
were added, ~ for other values, by fields, and - for entries that were removed. With --map revisions are named by their numbers.

Exit code 0 if nothing differs, 1 if something does, 2 for errors.`,
		Example: `  kubectl bpfmap revision diff blocklist-3 blocklist-4 -n edge
  kubectl bpfmap revision diff --map blocklist 3 4 -n edge`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: f.CompleteRevisions,
	}
	var mapName string
	c.RunE = func(c *cobra.Command, args []string) error {
		differs, err := diffRevisions(c, f, mapName, args, &p)
		return diffExit(c, differs, err)
	}
	c.Flags().StringVar(&mapName, "map", "", "name of the BPFMap, if revisions are named by their numbers")
	p.add(c, "")
	c.Flags().BoolVar(&p.reveal, "show-sensitive", false, "show entries that come from a Secret")
	_ = c.RegisterFlagCompletionFunc("map", func(c *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		return f.CompleteMaps(nil)(c, nil, prefix)
	})
	return c
}

func diffRevisions(c *cobra.Command, f *kube.Factory, mapName string, args []string, p *deltas) (differs bool, err error) {
	if err := p.check(c); err != nil {
		return false, err
	}
	reader, err := f.Client()
	if err != nil {
		return false, err
	}
	namespace, err := f.Namespace()
	if err != nil {
		return false, err
	}
	var objects [2]*v1alpha1.BPFMapRevision
	var revs [2]*revision.Revision
	for i, arg := range args {
		name := arg
		if mapName != "" {
			name = mapName + "-" + arg
		}
		if objects[i], err = kube.GetRevision(c.Context(), reader, namespace, name); err != nil {
			return false, err
		}
		if revs[i], err = contents.Read(c.Context(), reader, objects[i]); err != nil {
			return false, err
		}
	}
	out := terminal.Of(c.OutOrStdout())
	found, err := p.compare(out, revs[0], revs[1], objects[0], objects[1])
	if err != nil {
		return false, err
	}
	if p.isDocument() {
		return !found.isEmpty(), structured.Print(out, p.format, revisionsDiffer{objects[0].Name, objects[1].Name, found})
	}
	out.Printf("%s → %s: %s\n", objects[0].Name, objects[1].Name, found.Changes)
	return !found.isEmpty(), out.Flush()
}
