// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// TestLostChunksOfRefused: a spec that is refused, with the same entries as the revision in use, doesn't keep the chunks
// of that from coming back.
func TestLostChunksOfRefused(t *testing.T) {
	g := newRig(t, interceptor.Funcs{}, newMap("foo", 1000, many(600, "x")...), newNode("n1"))
	g.settle("foo")
	g.reports("n1")
	g.settle("foo")
	before := g.chunksIn("edge")
	g.edit("foo", func(s *v1alpha1.BPFMapSpec) { s.NodeSelector = map[string]string{"no": "node"} })
	g.settle("foo")
	g.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonNoNodesSelected)
	for name := range before {
		if err := g.store.Delete(t.Context(), &v1alpha1.BPFMapChunk{ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: name}}); err != nil {
			t.Fatal(err)
		}
	}
	g.settle("foo")
	if diff := cmp.Diff(before, g.chunksIn("edge")); diff != "" {
		t.Errorf("chunks (-want +got)\n%s", diff)
	}
}
