// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/contents"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// fetched are the entries that a map has from sources which only the controller fetches: those of its newest revision that
// the other sources of its spec don't give.
type fetched struct {
	// names are the sources.
	names    []string
	revision *v1alpha1.BPFMapRevision
	held     *revision.Revision
	// others are what the sources of the cluster's spec give that can be read here.
	others *revision.Revision
}

// isFetched says whether only the controller knows what a source has.
func isFetched(from *v1alpha1.EntrySource) bool { return from.HTTP != nil || from.Artifact != nil }

// split separates the sources of a spec that are fetched from the others.
func split(all []v1alpha1.EntrySource) (fetched, others []v1alpha1.EntrySource) {
	for i := range all {
		if isFetched(&all[i]) {
			fetched = append(fetched, all[i])
		} else {
			others = append(others, all[i])
		}
	}
	return fetched, others
}

// withoutIntervals takes out of copies of sources how often they are fetched: that doesn't say what they have, and the API
// server fills it in.
func withoutIntervals(all []v1alpha1.EntrySource) {
	for i := range all {
		if all[i].HTTP != nil {
			all[i].HTTP = all[i].HTTP.DeepCopy()
			all[i].HTTP.Interval = metav1.Duration{}
		}
	}
}

// unknownBecause is why what fetched sources brought can't be told from the newest revision; empty if it can.
func unknownBecause(current, m *v1alpha1.BPFMap, newest *v1alpha1.BPFMapRevision) string {
	switch {
	case current == nil:
		return "the cluster has no such BPFMap yet"
	case newest == nil:
		return "the BPFMap has no revision yet"
	case current.Spec.RollbackTo != "":
		return "the BPFMap is rolled back, so its newest revision isn't of its spec"
	case current.Status.ObservedGeneration != current.Generation, current.Status.UpdateRevision != newest.Name:
		return "the newest revision isn't of the cluster's spec"
	}
	mine, _ := split(m.Spec.EntriesFrom)
	theirs, _ := split(current.Spec.EntriesFrom)
	withoutIntervals(mine)
	withoutIntervals(theirs)
	a, b := &m.Spec, &current.Spec
	switch {
	case !equality.Semantic.DeepEqual(mine, theirs):
		return "the cluster's BPFMap has other fetched sources"
	case a.Type != b.Type || !equality.Semantic.DeepEqual(a.Key, b.Key) || !equality.Semantic.DeepEqual(a.Value, b.Value) || !equality.Semantic.DeepEqual(a.Inner, b.Inner):
		return "the type, keys or values of the cluster's BPFMap are others"
	case newest.Spec.KeySize == 0:
		return "elements without keys can't be told apart"
	}
	return ""
}

// fetchedOf are the entries of a manifest's fetched sources; nil if it has none.
func fetchedOf(ctx context.Context, reader client.Reader, current, m *v1alpha1.BPFMap, newest *v1alpha1.BPFMapRevision) (*fetched, error) {
	mine, _ := split(m.Spec.EntriesFrom)
	if len(mine) == 0 {
		return nil, nil //nolint:nilnil // there are none
	}
	f := &fetched{revision: newest}
	for i := range mine {
		f.names = append(f.names, compile.FetchedName(&mine[i]))
	}
	if why := unknownBecause(current, m, newest); why != "" {
		return nil, fmt.Errorf("%s: only the controller knows what is fetched, and it can't be taken from a revision: %s; apply with spec.rollout.paused, and compare the revision that it makes by kubectl bpfmap revision diff",
			strings.Join(f.names, ", "), why)
	}
	var err error
	if f.held, err = contents.Read(ctx, reader, newest); err != nil {
		return nil, err
	}
	was := current.DeepCopy()
	_, was.Spec.EntriesFrom = split(was.Spec.EntriesFrom)
	if f.others, err = compiled(was, sources{ctx, reader, was.Namespace, nil}, compile.Input{}); err != nil {
		return nil, fmt.Errorf("compile the cluster's spec without what is fetched: %w", err)
	}
	return f, nil
}

// compiled compiles a BPFMap with sources.
func compiled(m *v1alpha1.BPFMap, from sources, in compile.Input) (*revision.Revision, error) {
	found, err := compile.Gather(&m.Spec, from)
	if err != nil {
		return nil, err
	}
	in.Sources = found
	result, err := compile.Run(m, in)
	if err != nil {
		return nil, err
	}
	return result.Revision, nil
}

// into adds the entries to what the other sources of a manifest compile to, and returns how many they are. Where both have a
// key, the manifest's is taken.
func (f *fetched) into(want *revision.Revision) (*revision.Revision, int, error) {
	values := func(r *revision.Revision) map[string]int {
		all := make(map[string]int, r.Contents.Len)
		for i := range r.Contents.InOrder(r.Shape) {
			all[string(r.Contents.Key(i))] = i
		}
		return all
	}
	c := &want.Contents
	entries := revision.Entries{KeySize: c.KeySize, ValueSize: c.ValueSize}
	add := func(from *revision.Contents, i int) {
		if cpus, ok := from.PerCPU(i); ok {
			entries.Append(from.Key(i), cpus, true)
		} else {
			entries.Append(from.Key(i), from.Value(i), false)
		}
	}
	declared, others := values(want), values(f.others)
	for i := range c.InOrder(want.Shape) {
		add(c, i)
	}
	brought := 0
	held := &f.held.Contents
	for i := range held.InOrder(f.held.Shape) {
		if _, isDeclared := declared[string(held.Key(i))]; isDeclared {
			continue
		}
		if _, isOther := others[string(held.Key(i))]; !isOther {
			add(held, i)
			brought++
		}
	}
	all, err := revision.NewContents(want.Shape, &entries)
	if err != nil {
		return nil, 0, err
	}
	if uint64(all.Len) > uint64(want.Shape.MaxEntries) {
		return nil, 0, fmt.Errorf("%d entries, with the %d that %s brought by revision %s, are more than maxEntries %d",
			all.Len, brought, strings.Join(f.names, ", "), f.revision.Name, want.Shape.MaxEntries)
	}
	joined := *want
	joined.Contents = all
	joined.Sensitive = want.Sensitive || f.held.Sensitive
	joined.References = slices.Concat(want.References, f.held.References)
	return &joined, brought, nil
}
