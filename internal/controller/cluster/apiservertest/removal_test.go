// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservertest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/removal"
)

// TestMarkRemoved: after the operator is gone nothing goes on saying that it is Ready, page by page, and the next
// controller says so again.
func TestMarkRemoved(t *testing.T) {
	w := newLivesWorld(t)
	node := w.linux()
	const many = 45 // three pages
	var lines []v1alpha1.NodeMap
	for i := range many {
		name := fmt.Sprint("map-", i)
		m := w.create(name, strings.ReplaceAll(blocklist, "edge", w.namespace))
		lines = append(lines, ready(m, name+"-1"))
	}
	w.holds(node, w.create("blocklist", strings.ReplaceAll(blocklist, "edge", w.namespace)), "blocklist-1")
	w.report(node, lines...)
	for _, l := range lines {
		w.awaitMap(l.Name, metav1.ConditionTrue, v1alpha1.ReasonReady)
	}
	w.awaitNode(node, metav1.ConditionTrue, v1alpha1.ReasonNodeReady)
	w.stop()

	pages, conflicts := 0, 1
	watched, err := client.NewWithWatch(plane.Config(), client.Options{Scheme: w.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	c := interceptor.NewClient(watched, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, o ...client.ListOption) error {
			pages++
			return c.List(ctx, list, o...)
		},
		// Somebody writes at the same time.
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			if conflicts > 0 && o.GetName() == "map-0" {
				conflicts--
				w.touch("map-0")
			}
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
	})
	if err := removal.Mark(t.Context(), c, nil); err != nil {
		t.Fatal(err)
	}
	if pages < 6 {
		t.Errorf("%d requests for pages, want at least 3 for each of 2 passes", pages)
	}
	for _, l := range lines {
		w.awaitMap(l.Name, metav1.ConditionUnknown, v1alpha1.ReasonOperatorRemoved)
	}
	gone := w.awaitNode(node, metav1.ConditionUnknown, v1alpha1.ReasonOperatorRemoved)
	before := w.versions("map-0", node)
	if err := removal.Mark(t.Context(), c, nil); err != nil {
		t.Fatal(err)
	}
	if after := w.versions("map-0", node); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("a second run wrote: %v, before %v", after, before)
	}

	w.start()
	for _, l := range lines {
		w.awaitMap(l.Name, metav1.ConditionTrue, v1alpha1.ReasonReady)
	}
	if c := w.awaitNode(node, metav1.ConditionTrue, v1alpha1.ReasonNodeReady); !gone.LastTransitionTime.Before(&metav1.Time{Time: c.LastTransitionTime.Add(1)}) {
		t.Errorf("Ready since %s, though it was gone at %s", c.LastTransitionTime, gone.LastTransitionTime)
	}
}

// touch changes a BPFMap's status.
func (w *world) touch(name string) {
	w.t.Helper()
	m, err := w.get(name)
	if err != nil {
		w.t.Fatal(err)
	}
	meta.SetStatusCondition(&m.Status.Conditions, metav1.Condition{Type: "Touched", Status: metav1.ConditionTrue, Reason: "Test"})
	status, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": m.Status.Conditions}})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.Status().Patch(w.t.Context(), m, client.RawPatch("application/merge-patch+json", status)); err != nil {
		w.t.Fatal(err)
	}
}
