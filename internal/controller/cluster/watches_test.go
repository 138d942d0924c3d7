// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

func TestChangedMaps(t *testing.T) {
	entries := func(n int64) *int64 { return &n }
	state := func(maps ...v1alpha1.NodeMap) *v1alpha1.BPFNodeState {
		return &v1alpha1.BPFNodeState{Status: v1alpha1.BPFNodeStateStatus{Maps: maps}}
	}
	same := v1alpha1.NodeMap{Namespace: "edge", Name: "same", Entries: entries(3)}
	again := v1alpha1.NodeMap{Namespace: "edge", Name: "same", Entries: entries(3)}
	before := state(same, v1alpha1.NodeMap{Namespace: "edge", Name: "gone"}, v1alpha1.NodeMap{Namespace: "edge", Name: "other", Entries: entries(1)})
	after := state(again, v1alpha1.NodeMap{Namespace: "edge", Name: "new"}, v1alpha1.NodeMap{Namespace: "edge", Name: "other", Entries: entries(2)})

	got := changedMaps(statesByName(before), statesByName(after))
	slices.SortFunc(got, func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) })
	want := []types.NamespacedName{{Namespace: "edge", Name: "gone"}, {Namespace: "edge", Name: "new"}, {Namespace: "edge", Name: "other"}}
	if !slices.Equal(got, want) {
		t.Errorf("changedMaps = %v, want %v", got, want)
	}
	if got := changedMaps(statesByName(nil), statesByName(after)); len(got) != 3 {
		t.Errorf("changedMaps of a new state = %v, want all 3", got)
	}
}

func TestSelectionChanges(t *testing.T) {
	edge, core := labels.Set{"role": "edge"}, labels.Set{"role": "core"}
	for _, c := range []struct {
		name     string
		selector map[string]string
		sets     []labels.Set
		want     bool
	}{
		{"a selected node comes", edge, []labels.Set{edge}, true},
		{"another node comes", edge, []labels.Set{core}, false},
		{"a node comes and all are selected", nil, []labels.Set{core}, true},
		{"a node is relabelled into the selection", edge, []labels.Set{core, edge}, true},
		{"a node is relabelled and stays selected", edge, []labels.Set{edge, {"role": "edge", "zone": "b"}}, false},
		{"a node is relabelled and all are selected", nil, []labels.Set{core, edge}, false},
	} {
		if got := selectionChanges(c.selector, c.sets); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
