// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

func stateOn(node string, maps ...v1alpha1.NodeMap) *v1alpha1.BPFNodeState {
	return &v1alpha1.BPFNodeState{ObjectMeta: metav1.ObjectMeta{Name: node}, Status: v1alpha1.BPFNodeStateStatus{Maps: maps}}
}

// TestFleetIndex tells of each report what it changes, and nothing else.
func TestFleetIndex(t *testing.T) {
	x := newFleetIndex()
	entries := func(n int64) *int64 { return &n }
	edge := func(name string, n int64) v1alpha1.NodeMap {
		return v1alpha1.NodeMap{Namespace: "edge", Name: name, Entries: entries(n)}
	}
	for _, c := range []struct {
		what  string
		state *v1alpha1.BPFNodeState
		node  string
		want  string // the maps that changed
	}{
		{"a first report", stateOn("a", edge("same", 3), edge("gone", 0), edge("other", 1)), "a", "gone other same"},
		{"another node's", stateOn("b", edge("same", 3)), "b", "same"},
		{"one that changes, one that goes, one that comes", stateOn("a", edge("same", 3), edge("new", 0), edge("other", 2)), "a", "gone new other"},
		{"the same again", stateOn("a", edge("same", 3), edge("new", 0), edge("other", 2)), "a", ""},
		{"a node that is gone", nil, "b", "same"},
		{"a node that nobody knows", nil, "c", ""},
	} {
		var got []string
		for _, name := range x.setState(c.node, c.state) {
			got = append(got, name.Name)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v changed, want %s", c.what, got, c.want)
		}
	}
	if got := x.mapStatesOf(types.NamespacedName{Namespace: "edge", Name: "same"}); len(got) != 1 || *got["a"].Entries != 3 {
		t.Errorf("states of map same: %+v", got)
	}
	if got := x.mapStatesOf(types.NamespacedName{Namespace: "edge", Name: "other"}); len(got) != 1 || *got["a"].Entries != 2 {
		t.Errorf("states of map other: %+v", got)
	}
	x.setState("a", nil)
	if len(x.mapStates)+len(x.reported) != 0 {
		t.Errorf("without nodes, the index holds %v and %v", x.mapStates, x.reported)
	}
}

func TestFleetIndexOfNodes(t *testing.T) {
	x := newFleetIndex()
	for i := range 300 {
		x.setNode(fmt.Sprint(i), &corev1.Node{})
	}
	if got := len(x.allNodes()); got != 300 {
		t.Errorf("%d nodes, want 300", got)
	}
	if got, want := x.gather(), gatherReports+300*gatherPerNode; got != want {
		t.Errorf("reports of 300 nodes are gathered for %s, want %s", got, want)
	}
	x.setNode("7", nil)
	x.setNode("8", &corev1.Node{})
	if got := len(x.allNodes()); got != 299 {
		t.Errorf("%d nodes, want 299", got)
	}
	for i := range 100000 {
		x.setNode(fmt.Sprint(i), &corev1.Node{})
	}
	if got := x.gather(); got != time.Second {
		t.Errorf("reports of 100,000 nodes are gathered for %s, want %s", got, time.Second)
	}
}

// TestSameState holds the comparison against every field that there is.
func TestSameState(t *testing.T) {
	kind := reflect.TypeFor[v1alpha1.NodeMap]()
	for i := range kind.NumField() {
		field := kind.Field(i).Name
		if field == "Namespace" || field == "Name" { // states of one map are compared
			continue
		}
		var a, b v1alpha1.NodeMap
		fillField(t, reflect.ValueOf(&a).Elem().Field(i), 1)
		if sameState(&a, &b) || sameState(&b, &a) {
			t.Errorf("%s: set and not set are the same", field)
		}
		fillField(t, reflect.ValueOf(&b).Elem().Field(i), 1)
		if !sameState(&a, &b) {
			t.Errorf("%s: equal values are not the same", field)
		}
		fillField(t, reflect.ValueOf(&b).Elem().Field(i), 2)
		if v := reflect.ValueOf(b).Field(i); v.Kind() != reflect.Bool && sameState(&a, &b) {
			t.Errorf("%s: different values are the same", field)
		}
	}
}

// fillField sets a field to a value made of n.
func fillField(t *testing.T, v reflect.Value, n int64) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprint(n))
	case reflect.Int64, reflect.Int32:
		v.SetInt(n)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillField(t, v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillField(t, v.Index(0), n)
	case reflect.Struct:
		fillField(t, v.Field(0), n)
	default:
		t.Fatalf("a field of kind %s", v.Kind())
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

// BenchmarkMapStates is the part of a reconcile that finds what 5,000 nodes of 50 maps report about one.
func BenchmarkMapStates(b *testing.B) {
	x := newFleetIndex()
	for i := range 5000 {
		s := stateOn(fmt.Sprintf("node-%05d", i))
		for m := range 50 {
			s.Status.Maps = append(s.Status.Maps, v1alpha1.NodeMap{Namespace: "edge", Name: fmt.Sprintf("table-%03d", m)})
		}
		x.setState(s.Name, s)
		x.setNode(s.Name, &corev1.Node{})
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		x.mapStatesOf(types.NamespacedName{Namespace: "edge", Name: fmt.Sprintf("table-%03d", i%50)})
		x.allNodes()
	}
}
