// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// TestConfirm: what the cache shows isn't followed where the API server has another spec or other revisions.
func TestConfirm(t *testing.T) {
	there := newMap("foo", 8)
	there.Generation = 2
	rev := &v1alpha1.BPFMapRevision{ObjectMeta: metav1.ObjectMeta{
		Namespace: there.Namespace, Name: "foo-1", UID: "r1", Labels: map[string]string{v1alpha1.LabelMap: "foo"},
	}}
	rev.Spec.MapName = "foo"
	g := newRig(t, interceptor.Funcs{}, there, rev)
	for what, c := range map[string]struct {
		change func(*scope)
		stale  bool
	}{
		"as it is":             {func(*scope) {}, false},
		"an older spec":        {func(s *scope) { s.m.Generation = 1 }, true},
		"another BPFMap":       {func(s *scope) { s.m.UID = "another" }, true},
		"no revision yet":      {func(s *scope) { s.own = nil }, true},
		"a revision made anew": {func(s *scope) { s.own[0].UID = "r0" }, true},
		"one that is gone":     {func(s *scope) { s.own[0].Name = "foo-2" }, true},
	} {
		s := &scope{name: key("foo"), m: there.DeepCopy(), own: []v1alpha1.BPFMapRevision{*rev.DeepCopy()}}
		c.change(s)
		if err := g.confirm(t.Context(), s); isStale(err) != c.stale || (err != nil) != c.stale {
			t.Errorf("%s: %v", what, err)
		}
	}
}
