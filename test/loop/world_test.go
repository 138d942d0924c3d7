// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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
	controllers "github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// limit bounds every wait: the machine may be busy.
const limit = time.Minute

// world is a namespace with a controller process and a client with every right.
type world struct {
	client.Client
	t          testing.TB
	namespace  string
	controller *process
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldWith(t)
}

// newWorldWith gives the controller more flags.
func newWorldWith(t testing.TB, flags ...string) *world {
	t.Helper()
	scheme := controllers.Scheme()
	if err := errors.Join(corev1.AddToScheme(scheme), eventsv1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(plane.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "loop-"}}
	if err := c.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	w := &world{Client: c, t: t, namespace: ns.Name}
	w.startController(t, flags...)
	return w
}

func (w *world) startController(t testing.TB, flags ...string) {
	t.Helper()
	w.controller = launch(t, nil, append([]string{"controller", "--kubeconfig", controllerKubeconfig, "--secret-sources"}, flags...)...)
}

// blocklist is a map on the nodes of this world.
const blocklist = `
spec:
  type: Hash
  key: {type: be32}
  value: {type: u32}
  maxEntries: 16
  nodeSelector: {world: NAMESPACE}
  entries:
  - {key: 1, value: 10}
  - {key: 2, value: 20}
`

// apply creates a BPFMap out of YAML that has only a spec.
func (w *world) apply(name, text string) *v1alpha1.BPFMap {
	w.t.Helper()
	m := &v1alpha1.BPFMap{}
	if err := yaml.UnmarshalStrict([]byte(strings.ReplaceAll(text, "NAMESPACE", w.namespace)), m); err != nil {
		w.t.Fatal(err)
	}
	m.Namespace, m.Name = w.namespace, name
	if err := w.Create(w.t.Context(), m); err != nil {
		w.t.Fatal(err)
	}
	return m
}

// edit changes a BPFMap's spec.
func (w *world) edit(name string, change func(*v1alpha1.BPFMapSpec)) {
	w.t.Helper()
	m := &v1alpha1.BPFMap{}
	await.Nil(w.t, limit, func() error {
		if err := w.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, m); err != nil {
			return err
		}
		change(&m.Spec)
		return w.Update(w.t.Context(), m)
	})
}

// setEntries makes the pairs of key and value the declared entries.
func setEntries(pairs ...int) func(*v1alpha1.BPFMapSpec) {
	return func(s *v1alpha1.BPFMapSpec) {
		s.Entries = nil
		for i := 0; i < len(pairs); i += 2 {
			var e v1alpha1.Entry
			text := fmt.Sprintf("{key: %d, value: %d}", pairs[i], pairs[i+1])
			if err := yaml.Unmarshal([]byte(text), &e); err != nil {
				panic(err)
			}
			s.Entries = append(s.Entries, e)
		}
	}
}

// awaitCondition waits for a condition about the newest spec.
func (w *world) awaitCondition(name, condition, reason string) *v1alpha1.BPFMap {
	w.t.Helper()
	m := &v1alpha1.BPFMap{}
	await.Nil(w.t, limit, func() error {
		if err := w.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, m); err != nil {
			return err
		}
		c := meta.FindStatusCondition(m.Status.Conditions, condition)
		if c == nil || c.Reason != reason || c.ObservedGeneration != m.Generation {
			return fmt.Errorf("condition %s is %+v, want reason %s at generation %d", condition, c, reason, m.Generation)
		}
		return nil
	})
	return m
}

func (w *world) awaitReady(name string) *v1alpha1.BPFMap {
	w.t.Helper()
	return w.awaitCondition(name, v1alpha1.ConditionReady, v1alpha1.ReasonReady)
}

// awaitReadyOn waits until a map is Ready on these nodes and no others: the controller may learn of a
// node, or of its labels, after it learns of the map.
func (w *world) awaitReadyOn(name string, nodes ...*node) *v1alpha1.BPFMap {
	w.t.Helper()
	var want []string
	for _, n := range nodes {
		want = append(want, n.name)
	}
	slices.Sort(want)
	var m *v1alpha1.BPFMap
	await.Nil(w.t, limit, func() error {
		m = w.awaitReady(name)
		var got []string
		for _, s := range m.Status.NodeStates {
			got = append(got, s.Node)
		}
		if int(m.Status.Nodes.Desired) != len(want) || !slices.Equal(got, want) {
			return fmt.Errorf("%+v on the nodes %q, want %q", m.Status.Nodes, got, want)
		}
		return nil
	})
	return m
}

// awaitMessage waits until a condition that is True says something.
func (w *world) awaitMessage(name, condition, part string) *v1alpha1.BPFMap {
	w.t.Helper()
	m := &v1alpha1.BPFMap{}
	await.Nil(w.t, limit, func() error {
		if err := w.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, m); err != nil {
			return err
		}
		c := meta.FindStatusCondition(m.Status.Conditions, condition)
		if c == nil || c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, part) {
			return fmt.Errorf("condition %s is %+v, want %q in its message", condition, c, part)
		}
		return nil
	})
	return m
}

// awaitEvent waits for an event of a BPFMap and returns its note.
func (w *world) awaitEvent(name, reason string) string {
	w.t.Helper()
	return w.awaitEventIn(w.namespace, name, reason)
}

// awaitEventIn waits for an event of an object in a namespace and returns its note. Events of objects without a namespace
// are in the one called default.
func (w *world) awaitEventIn(namespace, name, reason string) string {
	w.t.Helper()
	note := ""
	await.Nil(w.t, limit, func() error {
		var list eventsv1.EventList
		if err := w.List(w.t.Context(), &list, client.InNamespace(namespace)); err != nil {
			return err
		}
		var seen []string
		for _, e := range list.Items {
			if e.Regarding.Name == name && e.Reason == reason {
				note = e.Note
				return nil
			}
			seen = append(seen, e.Reason)
		}
		return fmt.Errorf("no event %s among %v", reason, seen)
	})
	return note
}

// awaitNodeReason waits until a node's state gives this reason for its condition Ready and returns the
// message.
func (w *world) awaitNodeReason(node, reason string) string {
	w.t.Helper()
	message := ""
	await.Nil(w.t, limit, func() error {
		var s v1alpha1.BPFNodeState
		if err := w.Get(w.t.Context(), client.ObjectKey{Name: node}, &s); err != nil {
			return err
		}
		c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
		if c == nil || c.Reason != reason {
			return fmt.Errorf("condition Ready of the node is %+v, want reason %s", c, reason)
		}
		message = c.Message
		return nil
	})
	return message
}

// awaitGone waits until a node no longer reports the map blocklist.
func (w *world) awaitGone(node string) {
	w.t.Helper()
	await.Nil(w.t, limit, func() error {
		var s v1alpha1.BPFNodeState
		if err := w.Get(w.t.Context(), client.ObjectKey{Name: node}, &s); apierrors.IsNotFound(err) {
			return nil
		} else if err != nil {
			return err
		}
		for _, line := range s.Status.Maps {
			if line.Namespace == w.namespace && line.Name == "blocklist" {
				return fmt.Errorf("the node still reports %+v", line)
			}
		}
		return nil
	})
}
