// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"maps"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

func retain(s *v1alpha1.BPFMapSpec) { s.DeletionPolicy = v1alpha1.DeletionRetain }

func TestDeletion(t *testing.T) {
	w := newWorld(t)
	entries := contents{1: 10, 2: 20}

	t.Run("Delete", func(t *testing.T) {
		m := w.make("gone", entries)
		w.awaitReady("gone", 3)
		if err := api.Delete(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		awaitGone(t, 5*time.Second, m)
		awaitForgotten(t, m, false)
	})
	t.Run("Retain", func(t *testing.T) {
		m := w.make("kept", entries, retain)
		w.awaitReady("kept", 3)
		before := ids(t, w.namespace, "kept")
		if err := api.Delete(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		awaitForgotten(t, m, true)
		w.awaitEverywhere("kept", entries)
		// What was kept is adopted as it is, and is given back unless it is to go.
		m = w.make("kept", contents{1: 10, 2: 21}, func(s *v1alpha1.BPFMapSpec) { s.DeletionPolicy = v1alpha1.DeletionDelete })
		w.awaitReady("kept", 3)
		if after := ids(t, w.namespace, "kept"); !maps.Equal(after, before) {
			t.Errorf("map ids are %v after adoption, were %v", after, before)
		}
		w.awaitEverywhere("kept", contents{1: 10, 2: 21})
		if err := api.Delete(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		awaitForgotten(t, m, false)
	})
	t.Run("Namespace", func(t *testing.T) {
		gone, kept := w.make("gone", entries), w.make("kept", entries, retain)
		w.awaitReady("gone", 3)
		w.awaitReady("kept", 3)
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
		if err := api.Delete(t.Context(), ns); err != nil {
			t.Fatal(err)
		}
		awaitGone(t, 30*time.Second, ns)
		awaitForgotten(t, gone, false)
		awaitForgotten(t, kept, true)
		w.awaitEverywhere("kept", entries)
		for _, n := range nodes {
			if err := os.Remove(n.pin(t, w.namespace, "kept")); err != nil {
				t.Error(err)
			}
		}
	})
}

// awaitForgotten waits until no node has a line or a state of the map any more, and no pin unless it
// is kept.
func awaitForgotten(t *testing.T, m *v1alpha1.BPFMap, kept bool) {
	t.Helper()
	for _, n := range nodes {
		n.awaitNoPin(t, "_state/"+m.Namespace, m.Name)
		if !kept {
			n.awaitNoPin(t, m.Namespace, m.Name)
		}
		eventuallyOn(t, n, func() error {
			state := &v1alpha1.BPFNodeState{}
			if err := api.Get(t.Context(), client.ObjectKey{Name: n.name}, state); err != nil {
				return err
			}
			return noLine(state, m.Namespace, m.Name)
		})
	}
}
