// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/cluster"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

// limit bounds every wait: the machine may be busy.
const limit = 30 * time.Second

// history is how many old revisions the controllers of these tests keep.
const history = 2

var plane *controlplane.ControlPlane

func TestMain(m *testing.M) {
	os.Exit(func() int {
		log, err := process.Logger(&logs, "debug", "text")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		process.UseLogger(log)
		plane, err = controlplane.Start(context.Background(), controlplane.Options{CRDs: true})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		code := m.Run()
		if err := plane.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}())
}

// world is a namespace of its own and a client with every right.
type world struct {
	client.Client
	t         testing.TB
	namespace string
	// options change those of the controller; nil changes nothing.
	options func(*cluster.Options)
	stop    func()
}

// newWorld starts a controller, with the rights of its role only, beside an empty namespace.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := newIdleWorld(t)
	w.start()
	return w
}

// newIdleWorld is an empty namespace.
func newIdleWorld(t testing.TB) *world {
	t.Helper()
	scheme := process.Scheme()
	if err := errors.Join(corev1.AddToScheme(scheme), eventsv1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(plane.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "cluster-"}}
	if err := c.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	w := &world{Client: c, t: t, namespace: ns.Name, stop: func() {}}
	t.Cleanup(func() { w.stop() })
	return w
}

func restricted(t testing.TB) *rest.Config {
	t.Helper()
	root := controlplane.Root()
	err := plane.Apply(t.Context(), filepath.Join(root, "config/default/namespace.yaml"),
		filepath.Join(root, "config/rbac/service_accounts.yaml"), filepath.Join(root, "config/rbac/controller_role.yaml"),
		filepath.Join(root, "config/rbac/agent_role.yaml"), filepath.Join(root, "config/rbac/role_bindings.yaml"), filepath.Join(root, "config/secrets/role.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := plane.ConfigFor("system:serviceaccount:bpfmap-system:bpfmap-controller")
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// start runs a controller until w.stop.
func (w *world) start() {
	w.t.Helper()
	o := cluster.Options{
		Secrets:              true,
		Options:              process.Options{MetricsBindAddress: process.Disabled, HealthProbeBindAddress: process.Disabled},
		RevisionHistoryLimit: history, Concurrency: 4,
	}
	if w.options != nil {
		w.options(&o)
	}
	m, err := cluster.New(restricted(w.t), o)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Start(ctx) }()
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
		w.stop = func() {}
	}
}

const blocklist = `
spec:
  type: Hash
  key: {type: ipv4}
  value: {type: u64}
  maxEntries: 16
  nodeSelector: {role: edge}
  entries:
  - {key: 192.0.2.1, value: 1}
  - {key: 192.0.2.2, value: 2}
`

// create makes a BPFMap out of YAML that has only a spec.
func (w *world) create(name, text string) *v1alpha1.BPFMap {
	w.t.Helper()
	m := &v1alpha1.BPFMap{}
	if err := yaml.UnmarshalStrict([]byte(text), m); err != nil {
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
	await.Nil(w.t, limit, func() error {
		m, err := w.get(name)
		if err != nil {
			return err
		}
		change(&m.Spec)
		return w.Update(w.t.Context(), m)
	})
}

func (w *world) get(name string) (*v1alpha1.BPFMap, error) {
	m := &v1alpha1.BPFMap{}
	err := w.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, m)
	return m, err
}

// node creates a node with the label role, unique to the test, and removes it at the end.
func (w *world) node(role string) string {
	w.t.Helper()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{GenerateName: "node-", Labels: map[string]string{"role": role}}}
	if err := w.Create(w.t.Context(), n); err != nil {
		w.t.Fatal(err)
	}
	state := &v1alpha1.BPFNodeState{ObjectMeta: metav1.ObjectMeta{Name: n.Name}}
	w.t.Cleanup(func() {
		ctx := context.Background()
		if err := errors.Join(w.Delete(ctx, n), client.IgnoreNotFound(w.Delete(ctx, state))); err != nil {
			w.t.Error(err)
		}
	})
	return n.Name
}

// report plays a node's agent.
func (w *world) report(node string, lines ...v1alpha1.NodeMap) {
	w.t.Helper()
	ctx := w.t.Context()
	await.Nil(w.t, limit, func() error { // the controller writes the same object
		state := &v1alpha1.BPFNodeState{}
		err := w.Get(ctx, client.ObjectKey{Name: node}, state)
		if apierrors.IsNotFound(err) {
			state.Name = node
			err = w.Create(ctx, state)
		}
		if err != nil {
			return err
		}
		state.Status.Maps = lines
		return w.Status().Update(ctx, state)
	})
}

// revisions maps the names of a BPFMap's revisions to whether they are active.
func (w *world) revisions(name string) map[string]bool {
	w.t.Helper()
	var list v1alpha1.BPFMapRevisionList
	if err := w.List(w.t.Context(), &list, client.InNamespace(w.namespace)); err != nil {
		w.t.Fatal(err)
	}
	found := map[string]bool{}
	for _, r := range list.Items {
		if r.Spec.MapName == name {
			found[r.Name] = r.Labels[v1alpha1.LabelActive] == "true"
		}
	}
	return found
}

// awaitRevisions waits until a BPFMap has exactly these revisions.
func (w *world) awaitRevisions(name string, want map[string]bool) {
	w.t.Helper()
	await.Nil(w.t, limit, func() error {
		if got := w.revisions(name); fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("revisions are %v, want %v", got, want)
		}
		return nil
	})
}

// awaitCondition waits for a condition about the newest spec and returns the BPFMap.
func (w *world) awaitCondition(name, condition, reason string) *v1alpha1.BPFMap {
	w.t.Helper()
	var m *v1alpha1.BPFMap
	await.Nil(w.t, limit, func() (err error) {
		if m, err = w.get(name); err != nil {
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

// awaitEvent waits for an event of a BPFMap.
func (w *world) awaitEvent(name, reason string) {
	w.t.Helper()
	await.Nil(w.t, limit, func() error {
		var list eventsv1.EventList
		if err := w.List(w.t.Context(), &list, client.InNamespace(w.namespace)); err != nil {
			return err
		}
		var seen []string
		for _, e := range list.Items {
			if e.Regarding.Name == name {
				seen = append(seen, e.Reason)
			}
			if e.Regarding.Name == name && e.Reason == reason && e.Regarding.Kind == "BPFMap" {
				return nil
			}
		}
		return fmt.Errorf("no event %s among %v", reason, seen)
	})
}
