// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
)

func TestPick(t *testing.T) {
	rev := func(number int64, selector map[string]string, frontier string) v1alpha1.BPFMapRevision {
		r := v1alpha1.BPFMapRevision{Spec: v1alpha1.BPFMapRevisionSpec{MapName: "table", MapUID: "u", Number: number, NodeSelector: selector}}
		r.Namespace, r.Name = "shop", fmt.Sprint("table-", number)
		r.Status.Rollout.Frontier = frontier
		return r
	}
	all := func(number int64, selector map[string]string) v1alpha1.BPFMapRevision {
		return rev(number, selector, rollout.All)
	}
	list := func(r ...v1alpha1.BPFMapRevision) []v1alpha1.BPFMapRevision { return r }
	edge, core := map[string]string{"role": "edge"}, labels.Set{"role": "core"}
	deleted := all(9, nil)
	deleted.DeletionTimestamp = &metav1.Time{}
	release := func(name string) []v1alpha1.MapRelease {
		return []v1alpha1.MapRelease{{Namespace: "shop", Name: "other", Revision: "table-2"}, {Namespace: "shop", Name: "table", Revision: name}}
	}
	ofUID := func(uid string, list []v1alpha1.MapRelease) []v1alpha1.MapRelease {
		for i := range list {
			list[i].UID = uid
		}
		return list
	}
	type outcome struct {
		Wanted  int64 // -1 for undecided
		Kept    bool
		Removal string
	}
	const left = "the node's labels don't match nodeSelector role=edge of revision table-2 any more"
	never := func(number int) string {
		return fmt.Sprintf("nodeSelector role=edge of revision table-%d doesn't select the node", number)
	}
	for _, c := range []struct {
		name      string
		revisions []v1alpha1.BPFMapRevision
		set       labels.Set
		held      string
		releases  []v1alpha1.MapRelease
		want      outcome
	}{
		{"none", nil, edge, "", nil, outcome{Removal: "no revision of the map is left"}},
		{"the newest", list(all(2, nil), all(3, nil), all(1, nil)), nil, "", nil, outcome{Wanted: 3}},
		{"selected", list(all(2, edge)), edge, "", nil, outcome{Wanted: 2}},
		{"not selected", list(all(2, edge)), core, "", nil, outcome{Removal: never(2)}},
		{"the newest isn't for us", list(all(2, nil), all(3, edge)), nil, "", nil, outcome{Removal: never(3)}},
		{"none has got to us", list(rev(8, nil, rollout.None)), nil, "table-8", nil, outcome{Wanted: -1}},
		{"not rolled out to us", list(all(2, nil), rev(8, nil, rollout.None)), nil, "", nil, outcome{Wanted: 2}},
		{"we are the last so far", list(all(2, nil), rev(7, nil, rollout.Rank("node-a", "table-7"))), nil, "", nil, outcome{Wanted: 7}},
		{"deleted ones don't count", list(deleted, all(2, nil)), nil, "", nil, outcome{Wanted: 2}},

		{"a newer one takes it from us", list(all(2, nil), all(3, edge)), core, "table-2", nil, outcome{Removal: never(3)}},
		{"a newer one that hasn't got to us doesn't", list(all(2, nil), rev(3, edge, rollout.None)), core, "table-2", nil, outcome{Wanted: 2}},
		{"our labels changed", list(all(2, edge)), core, "table-2", nil, outcome{Wanted: 2}},
		{"our labels changed, and a newer one hasn't got to us", list(all(2, edge), rev(3, edge, rollout.None)), core, "table-2", nil, outcome{Wanted: 2}},
		{"released", list(all(2, edge)), core, "table-2", release("table-2"), outcome{Removal: left}},
		{"an earlier map of that name was released", list(all(2, edge)), core, "table-2", ofUID("earlier", release("table-2")), outcome{Wanted: 2}},
		{"released under its UID", list(all(2, edge)), core, "table-2", ofUID("u", release("table-2")), outcome{Removal: left}},
		{"released from an earlier one", list(all(2, edge)), core, "table-2", release("table-1"), outcome{Wanted: 2}},
		{"released, and the labels were put back", list(all(2, edge)), edge, "table-2", release("table-2"), outcome{Wanted: 2}},
	} {
		p := pick(c.revisions, "node-a", c.set, c.held, c.releases)
		got := outcome{Removal: p.removal}
		switch {
		case p.undecided:
			got.Wanted = -1
		case p.wanted != nil:
			got.Wanted = p.wanted.Spec.Number
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", c.name, diff)
		}
	}
}

// TestHeld takes a revision of an earlier BPFMap of the same name for another one.
func TestHeld(t *testing.T) {
	rev := v1alpha1.BPFMapRevision{}
	rev.Name, rev.Spec.MapUID, rev.Spec.NodeSelector, rev.Status.Rollout.Frontier = "table-2", "u", map[string]string{"role": "edge"}, rollout.All
	for held, want := range map[holding]bool{
		{present: true, uid: "u", revision: "table-2"}: true, {uid: "u", revision: "table-2"}: false,
		{present: true, uid: "u", revision: "table-1"}: false, {present: true, uid: "v", revision: "table-2"}: false,
	} {
		if c := choose([]v1alpha1.BPFMapRevision{rev}, "node-a", nil, held, nil); (c.wanted != nil) != want {
			t.Errorf("%+v: keeps %v, want %t", held, c.wanted, want)
		}
	}
}
