// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservertest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

func ready(m *v1alpha1.BPFMap, revision string) v1alpha1.NodeMap {
	return v1alpha1.NodeMap{
		Namespace: m.Namespace, Name: m.Name, UID: string(m.UID), Revision: revision, MapID: 7,
		State: v1alpha1.NodeMapReady, Reason: v1alpha1.NodeReasonInSync,
	}
}

func addEntry(key string) func(*v1alpha1.BPFMapSpec) {
	return func(s *v1alpha1.BPFMapSpec) {
		s.Entries = append(s.Entries, v1alpha1.Entry{
			Key:   &apiextensionsv1.JSON{Raw: []byte(`"` + key + `"`)},
			Value: &apiextensionsv1.JSON{Raw: []byte("9")},
		})
	}
}

func TestFromSpecToReady(t *testing.T) {
	w := newWorld(t)
	node := w.node(w.namespace)
	w.create("blocklist", strings.ReplaceAll(blocklist, "edge", w.namespace))
	w.awaitRevisions("blocklist", map[string]bool{"blocklist-1": true})
	m := w.awaitCondition("blocklist", v1alpha1.ConditionReady, v1alpha1.ReasonProgressing)
	if n := m.Status.Nodes; n.Desired != 1 || n.Pending != 1 {
		t.Errorf("nodes = %+v, want 1 desired and pending", n)
	}

	w.report(node, ready(m, "blocklist-1"))
	m = w.awaitCondition("blocklist", v1alpha1.ConditionReady, v1alpha1.ReasonReady)
	s := m.Status
	if s.Nodes.Ready != 1 || s.CurrentRevision != "blocklist-1" || *s.Entries != 2 || s.PinPath != "bpfmap/"+w.namespace+"/blocklist" {
		t.Errorf("status = %+v", s)
	}
	for _, reason := range []string{"RevisionCreated", "Ready"} {
		w.awaitEvent("blocklist", reason)
	}

	failed := ready(m, "blocklist-1")
	failed.State, failed.Reason, failed.Message = v1alpha1.NodeMapFailed, v1alpha1.NodeReasonMapFull, "map is full (maxEntries 16)"
	w.report(node, failed)
	m = w.awaitCondition("blocklist", v1alpha1.ConditionReady, v1alpha1.NodeReasonMapFull)
	message := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionReady).Message
	if want := "0 of 1 node ready; on " + node + ": map is full (maxEntries 16)"; message != want {
		t.Errorf("message = %q, want %q", message, want)
	}
	w.awaitEvent("blocklist", v1alpha1.NodeReasonMapFull)
}

func TestRevisions(t *testing.T) {
	w := newWorld(t)
	m := w.create("blocklist", blocklist)
	w.awaitRevisions("blocklist", map[string]bool{"blocklist-1": true})

	var rev v1alpha1.BPFMapRevision
	if err := w.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "blocklist-1"}, &rev); err != nil {
		t.Fatal(err)
	}
	if o := rev.OwnerReferences; len(o) != 1 || o[0].UID != m.UID || o[0].BlockOwnerDeletion != nil {
		t.Errorf("owner references = %+v", o)
	}

	w.edit("blocklist", addEntry("192.0.2.3"))
	w.awaitRevisions("blocklist", map[string]bool{"blocklist-1": false, "blocklist-2": true})

	w.edit("blocklist", func(s *v1alpha1.BPFMapSpec) { s.Entries = s.Entries[:2] })
	w.awaitRevisions("blocklist", map[string]bool{"blocklist-1": false, "blocklist-2": false, "blocklist-3": true})

	w.edit("blocklist", addEntry("192.0.2.4"))
	w.awaitRevisions("blocklist", map[string]bool{"blocklist-2": false, "blocklist-3": false, "blocklist-4": true})
}

// TestSameContents edits the spec in a way that compiles to the same map.
func TestSameContents(t *testing.T) {
	w := newWorld(t)
	w.create("blocklist", blocklist)
	w.awaitCondition("blocklist", v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted)
	w.edit("blocklist", func(s *v1alpha1.BPFMapSpec) { s.Entries[0], s.Entries[1] = s.Entries[1], s.Entries[0] })
	w.awaitCondition("blocklist", v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted)
	w.awaitRevisions("blocklist", map[string]bool{"blocklist-1": true})
}

func TestBrokenSpecKeepsLastGoodRevision(t *testing.T) {
	w := newWorld(t)
	w.create("limits", blocklist)
	w.awaitRevisions("limits", map[string]bool{"limits-1": true})
	w.edit("limits", addEntry("192.0.2.300"))
	m := w.awaitCondition("limits", v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalidEntry)
	if !meta.IsStatusConditionTrue(m.Status.Conditions, v1alpha1.ConditionStalled) {
		t.Errorf("conditions = %+v, want Stalled", m.Status.Conditions)
	}
	accepted := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionAccepted)
	for _, part := range []string{"entries[2]", "192.0.2.300", "limits-1"} {
		if !strings.Contains(accepted.Message, part) {
			t.Errorf("message %q doesn't name %s", accepted.Message, part)
		}
	}
	w.awaitRevisions("limits", map[string]bool{"limits-1": true})
	w.awaitEvent("limits", v1alpha1.ReasonInvalidEntry)

	w.edit("limits", func(s *v1alpha1.BPFMapSpec) { s.Entries = s.Entries[:2] })
	w.awaitCondition("limits", v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted)
	w.awaitRevisions("limits", map[string]bool{"limits-1": true})
	w.awaitEvent("limits", v1alpha1.ReasonAccepted)
}

func TestDeleteAndCreateAgain(t *testing.T) {
	w := newWorld(t)
	m := w.create("blocklist", blocklist)
	w.edit("blocklist", addEntry("192.0.2.3"))
	w.awaitCondition("blocklist", v1alpha1.ConditionReady, v1alpha1.ReasonNoNodesSelected)
	if err := w.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	w.awaitRevisions("blocklist", map[string]bool{})

	// Away at the moment of the deletion, the controller finds a namesake's revisions and counts on.
	m = w.create("blocklist", blocklist)
	w.awaitRevisions("blocklist", map[string]bool{"blocklist-1": true})
	w.stop()
	if err := w.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	w.create("blocklist", blocklist)
	w.start()
	w.awaitRevisions("blocklist", map[string]bool{"blocklist-2": true})
}

// TestMeddling undoes what others do to revisions.
func TestMeddling(t *testing.T) {
	w := newWorld(t)
	w.create("blocklist", blocklist)
	w.awaitRevisions("blocklist", map[string]bool{"blocklist-1": true})
	rev := &v1alpha1.BPFMapRevision{}
	rev.Namespace, rev.Name = w.namespace, "blocklist-1"
	unlabel := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":null}}`))
	if err := w.Patch(t.Context(), rev, unlabel); err != nil {
		t.Fatal(err)
	}
	w.awaitRevisions("blocklist", map[string]bool{"blocklist-1": true})
	if err := w.Delete(t.Context(), rev); err != nil {
		t.Fatal(err)
	}
	w.awaitRevisions("blocklist", map[string]bool{"blocklist-1": true})
}

func TestNodesComeAndGo(t *testing.T) {
	w := newWorld(t)
	m := w.create("blocklist", strings.ReplaceAll(blocklist, "edge", w.namespace))
	w.awaitCondition("blocklist", v1alpha1.ConditionReady, v1alpha1.ReasonNoNodesSelected)

	name := w.node(w.namespace)
	w.awaitCondition("blocklist", v1alpha1.ConditionReady, v1alpha1.ReasonProgressing)
	w.report(name, ready(m, "blocklist-1"))
	w.awaitCondition("blocklist", v1alpha1.ConditionReady, v1alpha1.ReasonReady)

	node := &corev1.Node{}
	if err := w.Get(t.Context(), client.ObjectKey{Name: name}, node); err != nil {
		t.Fatal(err)
	}
	patch := client.MergeFrom(node.DeepCopy())
	node.Labels["role"] = "other"
	if err := w.Patch(t.Context(), node, patch); err != nil {
		t.Fatal(err)
	}
	m = w.awaitCondition("blocklist", v1alpha1.ConditionReady, v1alpha1.ReasonNoNodesSelected)
	if len(m.Status.NodeStates) != 0 {
		t.Errorf("nodeStates = %+v, want none", m.Status.NodeStates)
	}
}

// TestSamplesAreStable restarts the controller over every sample: what it compiled before must compare
// equal to what the API server gives back, or each restart would make new revisions.
func TestSamplesAreStable(t *testing.T) {
	w := newWorld(t)
	var files []string
	for _, folder := range []string{"samples", "samples/types", "samples/newer", "samples/node"} {
		found, err := filepath.Glob(filepath.Join(controlplane.Root(), "config", folder, "[a-z]*-*.yaml"))
		if err != nil || len(found) < 3 {
			t.Fatalf("%s: %v, %v", folder, found, err)
		}
		files = append(files, found...)
	}
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range strings.Split(string(text), "\n---\n") {
			m := &v1alpha1.BPFMap{}
			if err := yaml.UnmarshalStrict([]byte(document), m); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			m.Namespace = w.namespace
			if err := w.Create(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			names = append(names, m.Name)
		}
	}
	// A spec is accepted before it has a revision: the first one of a group waits until nobody has added to it for a while.
	for _, name := range names {
		w.awaitRevisions(name, map[string]bool{name + "-1": true})
	}
	w.stop()
	w.start()
	// What it would have made on its own would take the number of what it makes for an edit.
	for _, name := range names {
		w.edit(name, func(s *v1alpha1.BPFMapSpec) { s.DeletionPolicy = v1alpha1.DeletionRetain })
		w.awaitRevisions(name, map[string]bool{name + "-1": false, name + "-2": true})
	}
}

// TestLargeMap takes contents near what one object can carry through create, relabel and delete.
func TestLargeMap(t *testing.T) {
	w := newWorld(t)
	const entries = 40000
	m := &v1alpha1.BPFMap{}
	if err := yaml.UnmarshalStrict([]byte("spec: {type: Hash, key: {type: be32}, value: {type: u64}, maxEntries: 65536}"), m); err != nil {
		t.Fatal(err)
	}
	m.Namespace, m.Name = w.namespace, "large"
	for i := range entries {
		raw := func(n int) *apiextensionsv1.JSON {
			return &apiextensionsv1.JSON{Raw: strconv.AppendInt(nil, int64(n), 10)}
		}
		m.Spec.Entries = append(m.Spec.Entries, v1alpha1.Entry{Key: raw(i * 104729), Value: raw(i)})
	}
	if err := w.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	m = w.awaitCondition("large", v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted)
	if *m.Status.Entries != entries {
		t.Errorf("entries = %d, want %d", *m.Status.Entries, entries)
	}
	w.edit("large", func(s *v1alpha1.BPFMapSpec) { s.Entries = s.Entries[1:] })
	w.awaitRevisions("large", map[string]bool{"large-1": false, "large-2": true})
	if err := w.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	w.awaitRevisions("large", map[string]bool{})
}
