// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package overview

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rivo/uniseg"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
)

var update = flag.Bool("update", false, "write the golden files")

var now = time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

// example is a map on some nodes, and what they report.
func example(nodes int) (*v1alpha1.BPFMap, []v1alpha1.BPFNodeState) {
	entries := int64(4)
	m := &v1alpha1.BPFMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "flags", UID: "u1", Generation: 3}}
	m.Spec.Type, m.Spec.MaxEntries = "Hash", 16
	m.Status = v1alpha1.BPFMapStatus{
		ObservedGeneration: 3, Entries: &entries, PinPath: "bpfmap/shop/flags", CurrentRevision: "flags-2", UpdateRevision: "flags-2",
		Nodes: v1alpha1.NodeCounts{Desired: int32(nodes), Updated: int32(nodes), Ready: int32(nodes)},
		Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, Message: fmt.Sprintf("%d of %d nodes ready", nodes, nodes), LastTransitionTime: ago(time.Hour)},
			{Type: v1alpha1.ConditionAccepted, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAccepted, Message: "the spec compiled", LastTransitionTime: ago(time.Hour)},
			{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNotStalled, Message: "no manual action required", LastTransitionTime: ago(time.Hour)},
		},
		Rollout: &v1alpha1.RolloutStatus{Revision: "flags-2", Phase: "Complete", Reason: "RolledOut", Message: "rolled out"},
	}
	var states []v1alpha1.BPFNodeState
	for i := range nodes {
		name := fmt.Sprintf("node-%02d", i)
		s := v1alpha1.BPFNodeState{ObjectMeta: metav1.ObjectMeta{Name: name}}
		s.Status.Maps = []v1alpha1.NodeMap{{Namespace: "shop", Name: "flags", UID: "u1", Revision: "flags-2", MapID: 7, State: v1alpha1.NodeMapReady, Reason: v1alpha1.NodeReasonInSync}}
		states = append(states, s)
		if i < v1alpha1.MaxNodeStates {
			m.Status.NodeStates = append(m.Status.NodeStates, v1alpha1.NodeMapStatus{Node: name, MapID: 7, Ready: true, Reason: v1alpha1.NodeReasonInSync})
		}
	}
	return m, states
}

func TestWrite(t *testing.T) {
	for _, test := range []struct {
		name  string
		nodes int
		all   bool
		more  func(*v1alpha1.BPFMap, []v1alpha1.BPFNodeState) []v1alpha1.BPFNodeState
	}{
		{"ready", 3, false, nil},
		{"ready, all", 12, true, nil},
		{"a hundred nodes", 100, false, nil},
		{"a hundred nodes, without rights", 100, false, func(*v1alpha1.BPFMap, []v1alpha1.BPFNodeState) []v1alpha1.BPFNodeState { return nil }},
		{"new", 0, false, func(m *v1alpha1.BPFMap, _ []v1alpha1.BPFNodeState) []v1alpha1.BPFNodeState {
			m.Status = v1alpha1.BPFMapStatus{}
			return nil
		}},
		{"halted, with sources", 3, false, func(m *v1alpha1.BPFMap, states []v1alpha1.BPFNodeState) []v1alpha1.BPFNodeState {
			m.Status.Nodes = v1alpha1.NodeCounts{Desired: 3, Updated: 0, Ready: 1, Failed: 1, Unknown: 1}
			c := &m.Status.Conditions[0]
			c.Status, c.Reason, c.Message, c.LastTransitionTime = metav1.ConditionFalse, v1alpha1.ReasonHalted, "1 of 3 nodes ready; halted at 1 of 3 nodes", ago(4*time.Minute)
			m.Status.CurrentRevision = "flags-1"
			m.Status.Rollout = &v1alpha1.RolloutStatus{Revision: "flags-2", Phase: "Halted", Reason: "NodesFailed", Message: "halted at 1 of 3 nodes: failed on node-01: MapFull: map is full", Batches: []v1alpha1.RolloutBatch{{Frontier: "7", Time: ago(5 * time.Minute)}}}
			m.Status.NodeStates[1] = v1alpha1.NodeMapStatus{Node: "node-01", Reason: v1alpha1.NodeReasonMapFull, Message: "map is full (maxEntries 16)"}
			m.Status.NodeStates[2] = v1alpha1.NodeMapStatus{Node: "node-02", Reason: v1alpha1.ReasonNodeStatusUnknown, Message: "the Node isn't Ready (since 02:51)"}
			states[0].Status.Maps[0].Revision, states[2].Status.Maps[0].Revision = "flags-1", "flags-1"
			good, next := ago(90*time.Second), metav1.NewTime(now.Add(10*time.Minute))
			m.Status.Sources = []v1alpha1.SourceStatus{
				{Index: 0, Name: "ConfigMap feed, key list", Entries: 3, LastGoodTime: &good, LeftOut: []v1alpha1.LeftOut{{Reason: "Invalid", Count: 2}}},
				{Index: 1, Name: "https://feeds.example.test/list?…", Entries: 1, NextFetchTime: &next, Message: "could not be fetched since 02:40: status 503\x1b[31m"},
			}
			return states
		}},
		{"rolled back by hand, behind", 2, false, func(m *v1alpha1.BPFMap, states []v1alpha1.BPFNodeState) []v1alpha1.BPFNodeState {
			m.Generation, m.Spec.RollbackTo = 4, "flags-1"
			m.Status.Conditions[0].Reason = v1alpha1.ReasonEarlierRevision
			return states
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, states := example(test.nodes)
			if test.more != nil {
				states = test.more(m, states)
			}
			o := Of(m, states)
			var out bytes.Buffer
			if err := o.Write(terminal.Of(&out), now, test.all); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", strings.NewReplacer(" ", "-", ",", "").Replace(test.name)+".txt")
			if *update {
				if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), out.String()); diff != "" {
				t.Errorf("%s (-want +got): -update writes it\n%s", file, diff)
			}
			for _, width := range []int{80, 160} {
				fits(t, &o, test.all, width, string(want))
			}
		})
	}
}

// fits wants the overview to fit a terminal, with all of its words.
func fits(t *testing.T, o *Overview, all bool, width int, whole string) {
	t.Helper()
	var out bytes.Buffer
	if err := o.Write(terminal.Simulated(&out, width, false), now, all); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if w := uniseg.StringWidth(strings.TrimRight(line, "\n")); w > width {
			t.Errorf("%d columns instead of %d: %s", w, width, line)
		}
	}
	if diff := cmp.Diff(slices.Sorted(strings.FieldsSeq(whole)), slices.Sorted(strings.FieldsSeq(out.String()))); diff != "" {
		t.Errorf("words are lost at %d columns (-want +got)\n%s", width, diff)
	}
	if os.Getenv("SHOW") != "" {
		t.Logf("%d\n%s", width, out.String())
	}
}
