// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/contents"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/kube"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/manifest"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// manifestDiff is the command diff.
type manifestDiff struct {
	deltas
	factory   *kube.Factory
	paths     []string
	recursive bool
	// found is the document.
	found []mapDiff
}

// mapDiff is what a manifest would change.
type mapDiff struct {
	BPFMap string `json:"bpfMap"`
	// Create says that the cluster has no such BPFMap; RollbackTo that it is rolled back to a revision, so that nothing of
	// this reaches the nodes.
	Create     bool   `json:"create,omitempty"`
	RollbackTo string `json:"rollbackTo,omitempty"`
	// Fetched is what was taken for the contents of sources that only the controller fetches; absent without such sources.
	Fetched *assumed `json:"fetched,omitempty"`
	// Groups are the revisions that nodes hold; without any there is one, of what isn't there yet.
	Groups []groupDiff `json:"groups"`
}

// groupDiff is what would change on nodes that hold the same revision.
type groupDiff struct {
	Revision string   `json:"revision,omitempty"`
	Nodes    []string `json:"nodes,omitempty"`
	delta
}

func newDiff(f *kube.Factory) *cobra.Command {
	d := manifestDiff{factory: f, found: []mapDiff{}}
	c := &cobra.Command{
		Use:   "diff -f FILE",
		Short: "Show what a manifest would change on the nodes",
		Long: `Show what a manifest would change on the nodes: it is compiled here, as the controller would, and compared with the revision
that each group of nodes holds. ConfigMaps and Secrets among the manifests count before those of the cluster, which are read with
the caller's rights. Nothing is changed, and nothing that comes from a Secret is shown.

Lines begin with + for entries that would be added, ~ for other values, by fields, - for entries that would be removed, and ! for
settings.

What sources bring that the controller fetches (http, artifact) isn't known here: it is taken to be what the newest revision
has of them, where the manifest has the same ones as the cluster's BPFMap, and keys and values of the same types. A line says
so. Elsewhere it is an error.

Exit code 0 if nothing differs, 1 if something does, 2 for errors.`,
		Example: `  kubectl bpfmap diff -f blocklist.yaml
  kubectl kustomize overlay | kubectl bpfmap diff -f -`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			differs, err := d.run(c)
			return diffExit(c, differs, err)
		},
	}
	c.Flags().StringArrayVarP(&d.paths, "filename", "f", nil, "file, folder or - for standard input (repeatable)")
	c.Flags().BoolVarP(&d.recursive, "recursive", "R", false, "descend into the folders of folders")
	d.add(c, " for each group of nodes")
	_ = c.MarkFlagFilename("filename", "yaml", "yml", "json")
	return c
}

func (d *manifestDiff) run(c *cobra.Command) (differs bool, err error) {
	if len(d.paths) == 0 {
		return false, errors.New("nothing to read: -f FILE is needed")
	}
	if err := d.check(c); err != nil {
		return false, err
	}
	reader, err := d.factory.Client()
	if err != nil {
		return false, err
	}
	namespace, err := d.factory.Namespace()
	if err != nil {
		return false, err
	}
	set := manifest.Read(manifest.Options{Paths: d.paths, Recursive: d.recursive, Stdin: c.InOrStdin(), Namespace: namespace})
	var problems []error
	for _, p := range set.Problems {
		problems = append(problems, p)
	}
	if len(set.Manifests) == 0 && len(problems) == 0 {
		return false, errors.New("no BPFMap found")
	}
	states, err := kube.ListNodeStates(c.Context(), reader)
	if err != nil && !kube.IsForbidden(err) {
		return false, err
	}
	out := terminal.Of(c.OutOrStdout())
	for i := range set.Manifests {
		m := &set.Manifests[i]
		one, err := d.compare(c.Context(), out, reader, m, set.Sources, states)
		if c.Context().Err() != nil {
			return false, context.Cause(c.Context())
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %s: %w", m.Place, m.Name(), err))
		}
		differs = differs || one
	}
	if d.isDocument() {
		document := struct {
			Maps []mapDiff `json:"maps"`
		}{d.found}
		if err := structured.Print(out, d.format, document); err != nil {
			return false, err
		}
	}
	if err := out.Flush(); err != nil {
		return false, err
	}
	return differs, errors.Join(problems...)
}

// compare compares one manifest.
func (d *manifestDiff) compare(ctx context.Context, out *terminal.Output, reader client.Reader, m *manifest.Manifest, given []manifest.Source, states []v1alpha1.BPFNodeState) (bool, error) {
	name := m.Map.Namespace + "/" + m.Map.Name
	current, err := kube.GetMap(ctx, reader, m.Map.Namespace, m.Map.Name)
	if err != nil && !kube.IsNotFound(err) {
		return false, err
	}
	var revisions []v1alpha1.BPFMapRevision
	in := compile.Input{Now: time.Now()}
	if current != nil {
		m.Map.UID = current.UID
		if revisions, err = kube.ListRevisions(ctx, reader, m.Map.Namespace, m.Map.Name); err != nil {
			return false, err
		}
		in.InUse = &compile.InUse{Sources: current.Status.Sources}
		if newest := latest(current, revisions); newest != nil {
			in.InUse.Contents = func() (*revision.Revision, error) { return contents.Read(ctx, reader, newest) }
		}
	}
	newest := (*v1alpha1.BPFMapRevision)(nil)
	if current != nil {
		newest = latest(current, revisions)
	}
	want, from, err := wanted(ctx, reader, current, m.Map, revisions, newest, given, in)
	if err != nil {
		return false, err
	}
	d.found = append(d.found, mapDiff{BPFMap: name, Create: current == nil, Fetched: from, Groups: []groupDiff{}})
	if from != nil {
		d.say(out, "%s: with %s of %s as revision %s has them: what is fetched next isn't known here\n",
			name, text.Count(from.Entries, "entry", "entries"), terminal.Sanitize(strings.Join(from.Sources, ", ")), from.Revision)
	}
	if current == nil {
		d.say(out, "%s: would be created, for %s\n", name, selectorText(want.NodeSelector))
		return true, d.against(out, nil, want, nil, holder{})
	}
	if current.Spec.RollbackTo != "" && m.Map.Spec.RollbackTo == "" {
		d.found[len(d.found)-1].RollbackTo = current.Spec.RollbackTo
		d.say(out, "%s: spec.rollbackTo is %s: unless the manifest's tool takes it out, nothing of this reaches the nodes\n", name, terminal.Sanitize(current.Spec.RollbackTo))
	}
	return d.againstGroups(ctx, out, reader, want, holders(current, revisions, states))
}

// assumed is what is taken for the contents of sources that only the controller fetches.
type assumed struct {
	// Sources are what they are called, Revision where their entries are taken from, and Entries how many these are.
	Sources  []string `json:"sources"`
	Revision string   `json:"revision"`
	Entries  int      `json:"entries"`
}

// wanted is what the nodes are to hold by a manifest: what it compiles to, or the revision that it names. What it has from
// sources that only the controller fetches is what the newest revision has of them.
func wanted(ctx context.Context, reader client.Reader, current, m *v1alpha1.BPFMap, revisions []v1alpha1.BPFMapRevision, newest *v1alpha1.BPFMapRevision, given []manifest.Source, in compile.Input) (*revision.Revision, *assumed, error) {
	if to := m.Spec.RollbackTo; to != "" {
		for i := range revisions {
			if revisions[i].Name == to {
				r, err := contents.Read(ctx, reader, &revisions[i])
				return r, nil, err
			}
		}
		return nil, nil, fmt.Errorf("spec.rollbackTo: revision %s does not exist", to)
	}
	from := sources{ctx, reader, m.Namespace, given}
	brought, err := fetchedOf(ctx, reader, current, m, newest)
	if err != nil {
		return nil, nil, err
	}
	if brought == nil {
		want, err := compiled(m, from, in)
		return want, nil, err
	}
	rest := m.DeepCopy()
	_, rest.Spec.EntriesFrom = split(rest.Spec.EntriesFrom)
	want, err := compiled(rest, from, in)
	if err != nil {
		return nil, nil, err
	}
	want, n, err := brought.into(want)
	if err != nil {
		return nil, nil, err
	}
	return want, &assumed{brought.names, brought.revision.Name, n}, nil
}

// holder is nodes that hold the same revision.
type holder struct {
	revision *v1alpha1.BPFMapRevision
	nodes    []string
}

// holders are the revisions that nodes hold, the newest first: by what they report, else those that they may hold.
func holders(m *v1alpha1.BPFMap, revisions []v1alpha1.BPFMapRevision, states []v1alpha1.BPFNodeState) (all []holder) {
	nodes := map[string][]string{}
	for i := range states {
		for j := range states[i].Status.Maps {
			if nm := &states[i].Status.Maps[j]; nm.Namespace == m.Namespace && nm.Name == m.Name && nm.UID == string(m.UID) && nm.MapID != 0 {
				nodes[nm.Revision] = append(nodes[nm.Revision], states[i].Name)
			}
		}
	}
	for i := range revisions {
		r := &revisions[i]
		isActive := states == nil && r.Labels[v1alpha1.LabelActive] == "true"
		if r.Spec.MapUID == string(m.UID) && (isActive || len(nodes[r.Name]) > 0) {
			all = append(all, holder{r, nodes[r.Name]})
		}
	}
	if newest := latest(m, revisions); len(all) == 0 && newest != nil {
		all = append(all, holder{newest, nil}) // no node has it yet
	}
	slices.SortStableFunc(all, func(a, b holder) int { return cmp.Compare(b.revision.Number(), a.revision.Number()) })
	return all
}

// againstGroups compares what is wanted with what each group of nodes holds.
func (d *manifestDiff) againstGroups(ctx context.Context, out *terminal.Output, reader client.Reader, want *revision.Revision, groups []holder) (differs bool, err error) {
	if len(groups) == 0 {
		d.say(out, "%s: has no revision yet\n", want.Key)
		return true, d.against(out, nil, want, nil, holder{})
	}
	for _, g := range groups {
		have, err := contents.Read(ctx, reader, g.revision)
		if err != nil {
			return differs, err
		}
		object := revision.ToObject(want)
		joinGroup(object, g.revision)
		d.say(out, "%s: against %s%s\n", want.Key, g.revision.Name, heldBy(g.nodes))
		if err := d.against(out, have, want, object, g); err != nil {
			return differs, err
		}
		groups := d.found[len(d.found)-1].Groups
		last := &groups[len(groups)-1]
		d.say(out, "  %s\n", last.Changes)
		differs = differs || !last.isEmpty()
	}
	return differs, nil
}

// against compares with what a group of nodes holds; have is nil where there is nothing yet.
func (d *manifestDiff) against(out *terminal.Output, have, want *revision.Revision, object *v1alpha1.BPFMapRevision, g holder) error {
	found, err := d.deltas.compare(out, have, want, g.revision, object)
	if err != nil {
		return err
	}
	one := groupDiff{Nodes: g.nodes, delta: found}
	if g.revision != nil {
		one.Revision = g.revision.Name
	}
	m := &d.found[len(d.found)-1]
	m.Groups = append(m.Groups, one)
	return nil
}

// joinGroup gives a revision that was compiled here the members of its group, which the controller knows.
func joinGroup(object, like *v1alpha1.BPFMapRevision) {
	if object.Spec.Group != nil && like.Spec.Group != nil && object.Spec.Group.Name == like.Spec.Group.Name {
		object.Spec.Group = like.Spec.Group
	}
}

// maxHolders is how many nodes of a group are named.
const maxHolders = 5

// heldBy is ", held by node-a, node-b"; empty if nothing is known of nodes.
func heldBy(nodes []string) string {
	switch more := len(nodes) - maxHolders; {
	case len(nodes) == 0:
		return ""
	case more > 0:
		return ", held by " + strings.Join(nodes[:maxHolders], ", ") + " and " + text.Count(more, "more node", "more nodes")
	}
	return ", held by " + strings.Join(nodes, ", ")
}
