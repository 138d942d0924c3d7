// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/kube"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/overview"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
)

// record is a line of the history. Its JSON is what history -o json prints.
type record struct {
	Number    int64       `json:"number"`
	Name      string      `json:"name"`
	Created   metav1.Time `json:"created"`
	Entries   int64       `json:"entries"`
	Digest    string      `json:"digest"`
	Active    bool        `json:"active"`
	Frontier  string      `json:"frontier"`
	Sensitive bool        `json:"sensitive,omitempty"`
	// Cause is what the revision changed, or that it was taken back.
	Cause string `json:"cause"`
}

func newHistory(f *kube.Factory) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "history MAP",
		Short: "List the revisions of a BPFMap, the newest first",
		Long: `List the revisions of a BPFMap, the newest first: when each was made, how many entries it declares, what it changed of the
one before, and how far it may go. kubectl bpfmap revision show and diff say what is in them.

ACTIVE revisions are those that nodes may hold. NODES is all, some or none of the nodes.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: f.CompleteMaps(nil),
		RunE: func(c *cobra.Command, args []string) error {
			reader, m, err := getNamed(c.Context(), f, args[0])
			if err != nil {
				return err
			}
			revisions, err := kube.ListRevisions(c.Context(), reader, m.Namespace, m.Name)
			if err != nil {
				return err
			}
			records := history(m, revisions)
			if structured.IsDocument(output) {
				return structured.Print(c.OutOrStdout(), output, records)
			}
			return writeHistory(terminal.Of(c.OutOrStdout()), records, time.Now(), output == structured.Wide)
		},
	}
	structured.AddFlag(c, &output, structured.Table, structured.Wide, structured.JSON, structured.YAML)
	return c
}

// history is a BPFMap's revisions, the newest first, each compared with the one before.
func history(m *v1alpha1.BPFMap, revisions []v1alpha1.BPFMapRevision) []record {
	records := []record{}
	var own []*v1alpha1.BPFMapRevision
	for i := range revisions {
		if revisions[i].Spec.MapUID == string(m.UID) {
			own = append(own, &revisions[i])
		}
	}
	for i, r := range own {
		rec := record{
			Number: r.Number(), Name: r.Name, Created: r.CreationTimestamp, Entries: r.Spec.EntryCount, Digest: r.Spec.Digest,
			Active: r.Labels[v1alpha1.LabelActive] == "true", Frontier: reach(r), Sensitive: r.Spec.Sensitive,
		}
		if i+1 < len(own) {
			rec.Cause = strings.Join(changes(own[i+1], r), "; ")
			if rec.Cause == "" {
				rec.Cause = "the same as " + own[i+1].Name
			} else if same := sameAs(r, own[i+2:]); same != "" {
				rec.Cause = "back to " + same + " (" + rec.Cause + ")"
			}
		} else {
			rec.Cause = "the oldest that is kept"
			if rec.Number == 1 {
				rec.Cause = "the first one"
			}
		}
		if why := r.Status.Rollout.RolledBack; why != "" {
			rec.Cause += "; rolled back: " + why
		}
		records = append(records, rec)
	}
	return records
}

// reach is how far a revision may go: to all, some or none of the nodes.
func reach(r *v1alpha1.BPFMapRevision) string {
	switch r.Status.Rollout.Frontier {
	case rollout.None:
		return "none"
	case rollout.All:
		return "all"
	}
	return "some"
}

// sameAs is the name of the newest of some earlier revisions that a revision repeats; empty if there is none.
func sameAs(r *v1alpha1.BPFMapRevision, earlier []*v1alpha1.BPFMapRevision) string {
	for _, e := range earlier {
		if len(changes(e, r)) == 0 {
			return e.Name
		}
	}
	return ""
}

// changes says in a few words what a revision changes of another one, by their metadata: shape, schemas, policies, pin,
// selection, and whether the entries are others.
func changes(from, to *v1alpha1.BPFMapRevision) (all []string) {
	a, b := &from.Spec, &to.Spec
	if a.Digest != b.Digest {
		all = append(all, fmt.Sprintf("entries: %d → %d", a.EntryCount, b.EntryCount))
	}
	before, errBefore := revision.Describe(from)
	after, errAfter := revision.Describe(to)
	if errBefore == nil && errAfter == nil {
		for _, d := range after.Shape.Differences(before.Shape) {
			all = append(all, fmt.Sprintf("%s: %s → %s", d.Field, d.Have, d.Want))
		}
	}
	for _, f := range []struct {
		name     string
		from, to any
	}{
		{"key", a.Key, b.Key}, {"value", a.Value, b.Value}, {"inner", a.Inner, b.Inner}, {"numaNode", a.NUMANode, b.NUMANode},
		{"exclusiveProgramHash", a.ExclusiveProgramHash, b.ExclusiveProgramHash},
	} {
		if !equality.Semantic.DeepEqual(f.from, f.to) {
			all = append(all, f.name+" changed")
		}
	}
	for _, f := range []struct{ name, from, to string }{
		{"syncPolicy", string(a.SyncPolicy), string(b.SyncPolicy)}, {"driftPolicy", string(a.DriftPolicy), string(b.DriftPolicy)},
		{"replacePolicy", string(a.ReplacePolicy), string(b.ReplacePolicy)}, {"adoptionPolicy", string(a.AdoptionPolicy), string(b.AdoptionPolicy)},
		{"deletionPolicy", string(a.DeletionPolicy), string(b.DeletionPolicy)}, {"freeze", fmt.Sprint(a.Freeze), fmt.Sprint(b.Freeze)},
		{"pin", pinText(&a.Pin), pinText(&b.Pin)}, {"nodeSelector", selectorText(a.NodeSelector), selectorText(b.NodeSelector)},
		{"group", groupText(a.Group), groupText(b.Group)}, {"sensitive", fmt.Sprint(a.Sensitive), fmt.Sprint(b.Sensitive)},
	} {
		if f.from != f.to {
			all = append(all, fmt.Sprintf("%s: %s → %s", f.name, orNone(f.from), orNone(f.to)))
		}
	}
	return all
}

func pinText(p *v1alpha1.Pin) string {
	id := func(n *int64) int64 {
		if n == nil {
			return 0
		}
		return *n
	}
	return fmt.Sprintf("%s %s %d:%d", p.Path, p.Mode, id(p.UID), id(p.GID))
}

func selectorText(s map[string]string) string {
	if len(s) == 0 {
		return "all nodes"
	}
	return metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: s})
}

func groupText(g *v1alpha1.RevisionGroup) string {
	if g == nil {
		return ""
	}
	members := make([]string, len(g.Members))
	for i := range g.Members {
		members[i] = g.Members[i].Name
	}
	slices.Sort(members)
	return g.Name + " (" + strings.Join(members, ", ") + ")"
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// shownDigits is how many hex digits of a digest a table shows.
const shownDigits = 12

func shortDigest(digest string) string {
	_, digits, _ := strings.Cut(digest, ":")
	return digits[:min(len(digits), shownDigits)]
}

func writeHistory(out *terminal.Output, records []record, now time.Time, wide bool) error {
	t := terminal.Table{Columns: []terminal.Column{
		{Title: "REVISION", Right: true}, {Title: "NAME"}, {Title: "AGE"}, {Title: "ENTRIES", Right: true}, {Title: "DIGEST"}, {Title: "ACTIVE"}, {Title: "NODES"}, {Title: "CAUSE", Shrink: 1},
	}}
	for _, r := range records {
		digest := shortDigest(r.Digest)
		if wide {
			digest = r.Digest
		}
		t.Row(r.Number, r.Name, overview.Age(&r.Created, now), r.Entries, digest, r.Active, r.Frontier, r.Cause)
	}
	if err := t.Write(out); err != nil {
		return err
	}
	return out.Flush()
}
