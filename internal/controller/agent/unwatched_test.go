// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/contents"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// TestNotWatched: the map of a namespace that isn't watched any more stays, whatever the API server has of it, and is said to
// stay; a node that isn't ready says nothing new, and what the node doesn't have isn't told of.
func TestNotWatched(t *testing.T) {
	c, host := newClient(t, nodeNamed("node"), compiled(t, "table", 1, hash(1))), &memoryHost{memory: enginetest.NewMemory()}
	before := newParts(t, c, "node", host)
	_, err := before.reconcile(t.Context(), "table")
	must(t, err)
	was := before.mapState("table")
	must(t, c.DeleteAllOf(t.Context(), &v1alpha1.BPFMapRevision{}, client.InNamespace(metav1.NamespaceDefault)))

	for name, seeded := range map[string]bool{"with the node's state": true, "without it": false} {
		t.Run(name, func(t *testing.T) {
			p := newParts(t, c, "node", host)
			p.namespaces = process.Namespaces{"others"}
			want := v1alpha1.NodeMap{UID: was.UID, Revision: was.Revision}
			if seeded {
				p.state.set(was)
				want.MapID, want.PinPath = was.MapID, was.PinPath
			}
			for range 2 {
				if result, err := p.reconcile(t.Context(), "table"); err != nil || result.RequeueAfter != 0 {
					t.Fatalf("again in %s, %v", result.RequeueAfter, err)
				}
			}
			m := p.mapState("table")
			if m.State != v1alpha1.NodeMapStalled || m.Reason != v1alpha1.NodeReasonNotWatched || m.UID != want.UID || m.Revision != want.Revision || m.MapID != want.MapID || m.PinPath != want.PinPath {
				t.Errorf("%+v, want that of %+v", m, want)
			}
			if len(host.memory.Pins()) == 0 {
				t.Error("the pin is gone")
			}
		})
	}

	p := newParts(t, c, "node", &memoryHost{memory: enginetest.NewMemory()})
	p.namespaces = process.Namespaces{"others"}
	p.state.set(was)
	p.leave(t.Context(), nil, revision.Key{Namespace: metav1.NamespaceDefault, Name: "table"}, holding{})
	if m := p.mapState("table"); m.Reason != was.Reason {
		t.Errorf("while the node isn't ready: %+v", m)
	}
	if _, err := p.reconcile(t.Context(), "table"); err != nil || p.mapState("table").Name != "" {
		t.Errorf("a map that isn't there any more: %+v, %v", p.mapState("table"), err)
	}
	if sensitive, err := (declaredHere{p.reconciler}).Sensitive(t.Context(), revision.Key{Namespace: metav1.NamespaceDefault, Name: "table"}); err != nil || !sensitive {
		t.Errorf("what nobody can know of is said not to come from a Secret: %v", err)
	}
	if _, err := (declaredHere{p.reconciler}).Revision(t.Context(), revision.Key{Namespace: metav1.NamespaceDefault, Name: "table"}); !errors.Is(err, contents.ErrNotFound) {
		t.Errorf("the revision of a map that isn't watched: %v", err)
	}
}
