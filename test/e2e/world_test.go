// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// world is a namespace of a test's own.
type world struct {
	t         *testing.T
	namespace string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"}}
	if err := api.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	w := &world{t, ns.Name}
	t.Cleanup(func() {
		// The test's context has ended. That the namespace goes quickly is TestDeletion's business.
		if err := client.IgnoreNotFound(api.Delete(context.Background(), ns)); err != nil {
			t.Error(err)
		}
	})
	return w
}

// The soak between batches is TestRevisionCutsNodesOff's business; the others needn't wait for it.
const hash = "{spec: {type: Hash, key: {type: u32}, value: {type: u32}, maxEntries: 1024, rollout: {minReadySeconds: 0}}}"

// make creates a Hash of u32 keys and values with these entries.
func (w *world) make(name string, entries contents, changes ...func(*v1alpha1.BPFMapSpec)) *v1alpha1.BPFMap {
	w.t.Helper()
	m := &v1alpha1.BPFMap{}
	if err := yaml.UnmarshalStrict([]byte(hash), m); err != nil {
		w.t.Fatal(err)
	}
	m.Namespace, m.Name = w.namespace, name
	for _, change := range append(changes, declare(entries)) {
		change(&m.Spec)
	}
	if err := api.Create(w.t.Context(), m); err != nil {
		w.t.Fatal(err)
	}
	return m
}

func declare(entries contents) func(*v1alpha1.BPFMapSpec) {
	return func(s *v1alpha1.BPFMapSpec) {
		s.Entries = nil
		for key, value := range entries {
			var e v1alpha1.Entry
			if err := yaml.Unmarshal(fmt.Appendf(nil, "{key: %d, value: %d}", key, value), &e); err != nil {
				panic(err)
			}
			s.Entries = append(s.Entries, e)
		}
	}
}

func (w *world) get(name string) (*v1alpha1.BPFMap, error) {
	m := &v1alpha1.BPFMap{}
	return m, api.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, m)
}

// edit changes the spec of the map blocklist.
func (w *world) edit(change func(*v1alpha1.BPFMapSpec)) {
	w.t.Helper()
	eventually(w.t, func() error {
		m, err := w.get("blocklist")
		if err != nil {
			return err
		}
		change(&m.Spec)
		return api.Update(w.t.Context(), m)
	})
}

// ready tells what lacks until a map is Ready at its newest spec on that many nodes.
func ready(m *v1alpha1.BPFMap, count int) error {
	c := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionReady)
	switch n := m.Status.Nodes; {
	case c == nil || c.Status != metav1.ConditionTrue || c.ObservedGeneration != m.Generation:
		return fmt.Errorf("%s: condition Ready is %+v, generation %d", m.Name, c, m.Generation)
	case int(n.Desired) != count || int(n.Ready) != count || len(m.Status.NodeStates) != count:
		return fmt.Errorf("%s: nodes are %+v, want %d", m.Name, n, count)
	}
	return nil
}

func (w *world) awaitReady(name string, count int) *v1alpha1.BPFMap {
	w.t.Helper()
	var m *v1alpha1.BPFMap
	eventually(w.t, func() (err error) {
		if m, err = w.get(name); err != nil {
			return err
		}
		return ready(m, count)
	})
	return m
}

// awaitEverywhere waits until every node's kernel holds exactly these entries.
func (w *world) awaitEverywhere(name string, want contents) {
	w.t.Helper()
	for _, n := range nodes {
		n.awaitContents(w.t, w.namespace, name, want)
	}
}

// awaitStatus waits until the status of the map blocklist names the maps that the kernels have.
func (w *world) awaitStatus(want map[string]uint32) {
	w.t.Helper()
	eventually(w.t, func() error {
		m, err := w.get("blocklist")
		if err != nil {
			return err
		}
		if err := ready(m, len(want)); err != nil {
			return err
		}
		for _, s := range m.Status.NodeStates {
			if uint32(s.MapID) != want[s.Node] {
				return fmt.Errorf("%s: status says map %d, the kernel %d", s.Node, s.MapID, want[s.Node])
			}
		}
		return nil
	})
}

// awaitEvent waits until there is an event about the map blocklist.
func (w *world) awaitEvent(reason string) {
	w.t.Helper()
	eventually(w.t, func() error {
		var events eventsv1.EventList
		if err := api.List(w.t.Context(), &events, client.InNamespace(w.namespace)); err != nil {
			return err
		}
		if !slices.ContainsFunc(events.Items, func(e eventsv1.Event) bool { return e.Regarding.Name == "blocklist" && e.Reason == reason }) {
			return fmt.Errorf("there is no event %s", reason)
		}
		return nil
	})
}

// awaitGone waits until an object is no longer found, within a time of its own.
func awaitGone(t *testing.T, within time.Duration, object client.Object) {
	t.Helper()
	start := time.Now()
	eventually(t, func() error {
		err := api.Get(t.Context(), client.ObjectKeyFromObject(object), object)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("%s is still there (%w)", object.GetName(), err)
	})
	if took := time.Since(start); took > within {
		t.Errorf("%s was gone after %v, want at most %v", object.GetName(), took, within)
	}
}
