// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/local"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/contents"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/kube"
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
newest revision, or the one of --revision. -o yaml prints the entries as a manifest has them, under "entries:".`,
		Example: `  kubectl bpfmap revision show blocklist -n edge
  kubectl bpfmap revision show blocklist-3 -n edge --limit 0 -o yaml`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: f.CompleteRevisions,
		RunE: func(c *cobra.Command, args []string) error {
			if s.output != "text" && s.output != "yaml" {
				return local.Usagef("--output %s: must be text or yaml", s.output)
			}
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
			if object.Spec.Sensitive && !s.reveal && s.output == "yaml" {
				return fmt.Errorf("the entries of revision %s come from a Secret: --show-sensitive prints them", object.Name)
			}
			return s.show(c, reader, object)
		},
	}
	c.Flags().Int64Var(&s.number, "revision", 0, "number of the BPFMap's revision (default: the newest)")
	c.Flags().IntVar(&s.page.Limit, "limit", defaultLimit, "how many entries to show; 0 means all")
	c.Flags().IntVar(&s.page.Offset, "offset", 0, "how many entries to leave out before")
	c.Flags().StringVarP(&s.output, "output", "o", "text", "output format: text|yaml")
	c.Flags().BoolVar(&s.reveal, "show-sensitive", false, "show entries that come from a Secret")
	_ = c.RegisterFlagCompletionFunc("revision", f.CompleteRevisionNumbers)
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
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
	if s.output == "text" {
		head(out, object)
	}
	if object.Spec.Sensitive && !s.reveal {
		out.Printf("%s from a Secret: not shown (--show-sensitive shows them)\n", text.Count(object.Spec.EntryCount, "entry", "entries"))
		return out.Flush()
	}
	if s.output == "yaml" {
		out.Printf("# %s %s\nentries:%s\n", object.Namespace, object.Name, map[bool]string{true: " []"}[rev.Contents.Len == 0])
	}
	written, err := contents.Entries(out, rev, s.page, s.output == "yaml")
	if err != nil {
		return err
	}
	if rest := rev.Contents.Len - s.page.Offset - written; rest > 0 {
		c.PrintErrf("… and %s: --offset %d shows the next, --limit 0 all\n", text.Count(rest, "more entry", "more entries"), s.page.Offset+written)
	}
	return out.Flush()
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

func newRevisionDiff(f *kube.Factory) *cobra.Command {
	var limit int
	var reveal bool
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
		differs, err := diffRevisions(c, f, mapName, args, limit, reveal)
		return diffExit(c, differs, err)
	}
	c.Flags().StringVar(&mapName, "map", "", "name of the BPFMap, if revisions are named by their numbers")
	c.Flags().IntVar(&limit, "limit", defaultLimit, "how many entries to show; 0 means all")
	c.Flags().BoolVar(&reveal, "show-sensitive", false, "show entries that come from a Secret")
	_ = c.RegisterFlagCompletionFunc("map", func(c *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		return f.CompleteMaps(nil)(c, nil, prefix)
	})
	return c
}

func diffRevisions(c *cobra.Command, f *kube.Factory, mapName string, args []string, limit int, reveal bool) (differs bool, err error) {
	if limit < 0 {
		return false, local.Usagef("--limit must not be negative")
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
	settings := changes(objects[0], objects[1])
	for _, line := range settings {
		if !strings.HasPrefix(line, "entries: ") {
			out.Printf("  ! %s\n", terminal.Sanitize(line))
		}
	}
	changed, err := writeDiff(out, revs[0], revs[1], limit, reveal)
	if err != nil {
		return false, err
	}
	out.Printf("%s → %s: %s\n", objects[0].Name, objects[1].Name, changed)
	return len(settings) > 0 || !changed.IsEmpty(), out.Flush()
}

// writeDiff writes the entries that differ, in colours.
func writeDiff(out *terminal.Output, from, to *revision.Revision, limit int, reveal bool) (contents.Changes, error) {
	changed, err := contents.Diff(&coloured{out: out}, from, to, limit, reveal)
	if err == nil && !changed.IsEmpty() && !reveal && (from != nil && from.Sensitive || to != nil && to.Sensitive) {
		out.Printf("  the entries come from a Secret and are not shown\n")
	}
	return changed, err
}

// coloured writes each line in the colour of its sign.
type coloured struct{ out *terminal.Output }

// Write is given whole lines.
func (w *coloured) Write(line []byte) (int, error) {
	style := terminal.Plain
	switch body := bytes.TrimLeft(line, " "); {
	case bytes.HasPrefix(body, []byte("+")):
		style = terminal.Green
	case bytes.HasPrefix(body, []byte("-")):
		style = terminal.Red
	case bytes.HasPrefix(body, []byte("~")):
		style = terminal.Yellow
	}
	if !w.out.HasColour() || style == terminal.Plain {
		return w.out.Write(line)
	}
	if err := w.out.Styled(style, string(bytes.TrimSuffix(line, []byte("\n")))); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(w.out, "\n"); err != nil {
		return 0, err
	}
	return len(line), nil
}

// The exit codes of diff commands are those of kubectl diff.
const (
	diffFound  = local.ExitFailed
	diffFailed = local.ExitUsage
)

// diffExit is the exit of a diff command; an error is printed.
func diffExit(c *cobra.Command, differs bool, err error) error {
	switch {
	case err != nil && c.Context().Err() != nil:
		return err
	case err != nil:
		local.PrintFailure(terminal.Of(c.ErrOrStderr()), err)
		return &local.ExitError{Code: diffFailed}
	case differs:
		return &local.ExitError{Code: diffFound}
	}
	return nil
}
