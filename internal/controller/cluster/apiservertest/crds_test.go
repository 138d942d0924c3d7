// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// TestOlderCRDs starts a controller beside CRDs whose revisions can't name chunks: without a word from
// the API server, maps of many entries would become empty ones.
func TestOlderCRDs(t *testing.T) {
	w := newWorld(t)
	w.stop()
	upgrade := w.downgradeRevisions("chunks")
	w.start()
	w.create("blocklist", blocklist)
	w.awaitEvent("blocklist", "CRDsOutdated")
	if got := w.revisions("blocklist"); len(got) > 0 {
		t.Errorf("revisions %v in spite of the CRDs", got)
	}
	note := w.note("CRDsOutdated")
	for _, word := range []string{"bpfmaprevisions.bpfmap.io lacks spec.chunks:", "upgrade them"} {
		if !strings.Contains(note, word) {
			t.Errorf("the event %q doesn't say %q", note, word)
		}
	}
	upgrade()
	await.Nil(t, limit, func() error {
		if got := w.revisions("blocklist"); len(got) != 1 {
			return fmt.Errorf("revisions %v, want one", got)
		}
		return nil
	})
	w.awaitEvent("blocklist", "RevisionCreated") // a controller that stops with events to send takes long
}

// downgradeRevisions takes a field of the spec out of the CRD of revisions until upgrade is called, which
// happens at the test's end at the latest. Both return when the API server says so.
func (w *world) downgradeRevisions(field string) (upgrade func()) {
	w.t.Helper()
	crd := &unstructured.Unstructured{}
	crd.SetAPIVersion("apiextensions.k8s.io/v1")
	crd.SetKind("CustomResourceDefinition")
	if err := w.Get(w.t.Context(), client.ObjectKey{Name: "bpfmaprevisions.bpfmap.io"}, crd); err != nil {
		w.t.Fatal(err)
	}
	versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
	if err != nil {
		w.t.Fatal(err)
	}
	property, _, err := unstructured.NestedMap(versions[0].(map[string]any), "schema", "openAPIV3Schema", "properties", "spec", "properties", field)
	if err != nil {
		w.t.Fatal(err)
	}
	patch := func(operation string) error {
		operation = strings.ReplaceAll(operation, "PATH", "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/"+field)
		return w.Patch(context.Background(), crd.DeepCopy(), client.RawPatch(types.JSONPatchType, []byte(operation)))
	}
	removed, err := json.Marshal(property)
	if err := errors.Join(err, patch(`[{"op": "remove", "path": "PATH"}]`)); err != nil {
		w.t.Fatal(err)
	}
	upgrade = sync.OnceFunc(func() {
		if err := patch(`[{"op": "add", "path": "PATH", "value": ` + string(removed) + `}]`); err != nil {
			w.t.Error(err)
			return
		}
		w.awaitPublished(removed, true)
	})
	w.t.Cleanup(upgrade)
	w.awaitPublished(removed, false)
	return upgrade
}

// awaitPublished waits until the API server's published schema has or lacks a property's description.
func (w *world) awaitPublished(property []byte, want bool) {
	var described struct{ Description string }
	if err := json.Unmarshal(property, &described); err != nil || described.Description == "" {
		w.t.Fatalf("the property has no description (%v)", err)
	}
	mark, err := json.Marshal(described.Description)
	if err != nil {
		w.t.Fatal(err)
	}
	d, err := discovery.NewDiscoveryClientForConfig(plane.Config())
	if err != nil {
		w.t.Fatal(err)
	}
	deadline := time.Now().Add(limit)
	for { // not await.Nil: the test may have ended
		text, err := d.RESTClient().Get().AbsPath("/openapi/v3/apis/" + v1alpha1.GroupVersion.String()).DoRaw(context.Background())
		if err == nil && bytes.Contains(text, mark) == want {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the published schema has the property: %t (%v), want %t", !want, err, want)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// note is the text of an event of the namespace.
func (w *world) note(reason string) string {
	w.t.Helper()
	var list eventsv1.EventList
	if err := w.List(w.t.Context(), &list, client.InNamespace(w.namespace)); err != nil {
		w.t.Fatal(err)
	}
	for _, e := range list.Items {
		if e.Reason == reason {
			return e.Note
		}
	}
	return ""
}
