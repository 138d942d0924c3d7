// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/kube"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/cluster"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

// limit bounds every wait: the machine may be busy.
const limit = time.Minute

var plane *controlplane.ControlPlane

func TestMain(m *testing.M) {
	os.Exit(func() int {
		log, err := process.Logger(io.Discard, "error", "text")
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

// world is a namespace with nodes that play agents, and a controller.
type world struct {
	client.Client
	t         *testing.T
	namespace string
	nodes     []string
	// fails are nodes that fail on any revision but the first.
	fails map[string]bool
	// kubeconfig is a file for a user with every right.
	kubeconfig string
}

func newWorld(t *testing.T, nodes int) *world {
	t.Helper()
	scheme := kube.Scheme()
	if err := rbacv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(plane.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "plugin-"}}
	if err := c.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	w := &world{Client: c, t: t, namespace: ns.Name, fails: map[string]bool{}, kubeconfig: kubeconfigOf(t, "plugin-admin", "system:masters")}
	for i := range nodes {
		w.node(fmt.Sprintf("%s-node-%d", ns.Name, i))
	}
	return w
}

// kubeconfigOf writes a kubeconfig for a user.
func kubeconfigOf(t *testing.T, user string, groups ...string) string {
	t.Helper()
	cfg, err := plane.ConfigFor(user, groups...)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := plane.WriteKubeconfig(path, cfg); err != nil {
		t.Fatal(err)
	}
	return path
}

// control runs the real controller until the test ends.
func (w *world) control() { w.controlFetching(cluster.FetchOptions{}) }

// controlFetching is control with sources that may be fetched.
func (w *world) controlFetching(from cluster.FetchOptions) {
	w.t.Helper()
	m, err := cluster.New(plane.Config(), cluster.Options{
		Secrets:              true,
		Options:              process.Options{MetricsBindAddress: process.Disabled, HealthProbeBindAddress: process.Disabled},
		RevisionHistoryLimit: 5, Concurrency: 4, Fetch: from,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Start(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

func (w *world) node(name string) {
	w.t.Helper()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"world": w.namespace}}}
	if err := w.Create(w.t.Context(), n); err != nil {
		w.t.Fatal(err)
	}
	w.nodes = append(w.nodes, name)
	state := &v1alpha1.BPFNodeState{ObjectMeta: metav1.ObjectMeta{Name: name}}
	w.t.Cleanup(func() {
		ctx := context.Background()
		if err := errors.Join(w.Delete(ctx, n), client.IgnoreNotFound(w.Delete(ctx, state))); err != nil {
			w.t.Error(err)
		}
	})
}

// declare makes a BPFMap of YAML that has only a spec; WORLD is the namespace.
func (w *world) declare(name, spec string) *v1alpha1.BPFMap {
	w.t.Helper()
	m := &v1alpha1.BPFMap{}
	if err := yaml.UnmarshalStrict([]byte(strings.ReplaceAll(spec, "WORLD", w.namespace)), m); err != nil {
		w.t.Fatal(err)
	}
	m.Namespace, m.Name = w.namespace, name
	if err := w.Create(w.t.Context(), m); err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) get(name string) *v1alpha1.BPFMap {
	w.t.Helper()
	m := &v1alpha1.BPFMap{}
	if err := w.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, m); err != nil {
		w.t.Fatal(err)
	}
	return m
}

// edit changes the BPFMap flags.
func (w *world) edit(change func(*v1alpha1.BPFMapSpec)) {
	w.t.Helper()
	await.Nil(w.t, limit, func() error {
		m := w.get("flags")
		change(&m.Spec)
		return w.Update(w.t.Context(), m)
	})
}

// follow lets each node report the revision of a map that it is to take, as agents do.
func (w *world) follow(name string) {
	w.t.Helper()
	m := w.get(name)
	var list v1alpha1.BPFMapRevisionList
	if err := w.List(w.t.Context(), &list, client.InNamespace(w.namespace), client.MatchingLabels{v1alpha1.LabelActive: "true"}); err != nil {
		w.t.Fatal(err)
	}
	var own []v1alpha1.BPFMapRevision
	for _, r := range list.Items {
		if r.Spec.MapName == name {
			own = append(own, r)
		}
	}
	for _, node := range w.nodes {
		if rev := rollout.Newest(own, node); rev != nil {
			await.Nil(w.t, limit, func() error { return w.report(node, w.line(m, rev, node)) })
		}
	}
}

func (w *world) line(m *v1alpha1.BPFMap, rev *v1alpha1.BPFMapRevision, node string) v1alpha1.NodeMap {
	line := v1alpha1.NodeMap{
		Namespace: m.Namespace, Name: m.Name, UID: string(m.UID), Revision: rev.Name, MapID: 7,
		State: v1alpha1.NodeMapReady, Reason: v1alpha1.NodeReasonInSync, Digest: rev.Spec.Digest,
	}
	if w.fails[node] && rev.Number() > 1 {
		line.State, line.Reason, line.Message = v1alpha1.NodeMapFailed, v1alpha1.NodeReasonMapFull, "map is full (maxEntries 16)"
	}
	return line
}

// report replaces what a node reports of a map.
func (w *world) report(node string, line v1alpha1.NodeMap) error {
	ctx := w.t.Context()
	state := &v1alpha1.BPFNodeState{}
	err := w.Get(ctx, client.ObjectKey{Name: node}, state)
	if apierrors.IsNotFound(err) {
		state.Name = node
		err = w.Create(ctx, state)
	}
	if err != nil {
		return err
	}
	for i := range state.Status.Maps {
		if m := &state.Status.Maps[i]; m.Namespace == line.Namespace && m.Name == line.Name {
			*m = line
			return w.Status().Update(ctx, state)
		}
	}
	state.Status.Maps = append(state.Status.Maps, line)
	return w.Status().Update(ctx, state)
}

// awaitMap waits until a BPFMap is as wanted, while the nodes follow.
func (w *world) awaitMap(name string, wrong func(*v1alpha1.BPFMap) error) {
	w.t.Helper()
	await.Nil(w.t, limit, func() error {
		w.follow(name)
		return wrong(w.get(name))
	})
}

// awaitRevision waits until a revision is complete on all nodes.
func (w *world) awaitRevision(name, revision string) {
	w.t.Helper()
	w.awaitMap(name, func(m *v1alpha1.BPFMap) error {
		if m.Status.CurrentRevision != revision || m.Status.ObservedGeneration != m.Generation {
			return fmt.Errorf("revision %s of %s, rollout %+v, conditions %v", m.Status.CurrentRevision, m.Status.UpdateRevision, m.Status.Rollout, m.Status.Conditions)
		}
		return nil
	})
}

// result is what a command printed, and its exit code.
type result struct {
	out, errOut string
	code        int
}

// run runs kubectl bpfmap in the world's namespace with every right.
func (w *world) run(args ...string) result {
	w.t.Helper()
	return runAs(w.t.Context(), w.t, w.kubeconfig, w.namespace, "", args...)
}

// runAs runs kubectl bpfmap with a kubeconfig.
func runAs(ctx context.Context, t *testing.T, kubeconfig, namespace, in string, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	where := []string{"--kubeconfig", kubeconfig, "-n", namespace}
	all := slices.Concat(where, args)
	if len(args) > 0 && args[0] == "__complete" { // has to be the first one
		all = slices.Concat(args[:1], where, args[1:])
	}
	r := result{code: cli.RunAs(ctx, "kubectl-bpfmap", all, strings.NewReader(in), &out, &errOut)}
	r.out, r.errOut = out.String(), errOut.String()
	return r
}

// wants fails unless the output has all words and the exit code is as wanted.
func (r result) wants(t *testing.T, code int, words ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d\n%s%s", r.code, code, r.out, r.errOut)
	}
	for _, word := range words {
		if !strings.Contains(r.out+r.errOut, word) {
			t.Errorf("the output lacks %q:\n%s%s", word, r.out, r.errOut)
		}
	}
}

// blocklist is a map of a world's nodes, one after the other.
const blocklist = `
spec:
  type: Hash
  key: {type: ipv4}
  value: {fields: [{name: action, type: u8}, {name: rule, type: u32}]}
  maxEntries: 16
  nodeSelector: {world: WORLD}
  rollout: {maxUnavailable: 1, minReadySeconds: 0}
  entries:
  - {key: 192.0.2.1, value: {action: 1, rule: 7}}
  - {key: 192.0.2.2, value: {action: 1, rule: 8}}
`

// agents makes a DaemonSet of agents, and a pod of it on each node, Ready or not.
func (w *world) agents(ready func(node string) bool) {
	w.t.Helper()
	ctx := w.t.Context()
	labels := map[string]string{"app.kubernetes.io/name": "bpfmap-operator", "app.kubernetes.io/component": "agent"}
	spec := corev1.PodSpec{Containers: []corev1.Container{{Name: "agent", Image: "example.test/bpfmap:1", Env: []corev1.EnvVar{{Name: "X", Value: canary}}}}}
	ds := &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "agent", Labels: labels},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
		},
	}
	if err := w.Create(ctx, ds); err != nil {
		w.t.Fatal(err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "default"}}
	if err := w.Create(ctx, account); err != nil && !apierrors.IsAlreadyExists(err) {
		w.t.Fatal(err)
	}
	for _, node := range w.nodes {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "agent-" + node, Labels: labels}, Spec: *spec.DeepCopy()}
		p.Spec.NodeName = node
		if err := w.Create(ctx, p); err != nil {
			w.t.Fatal(err)
		}
		c := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}
		if !ready(node) {
			c.Status, c.LastTransitionTime = corev1.ConditionFalse, metav1.NewTime(time.Now().Add(-5*time.Minute))
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "agent", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 40s restarting failed container"}}}}
		}
		p.Status.Phase, p.Status.Conditions = corev1.PodRunning, []corev1.PodCondition{c}
		if err := w.Status().Update(ctx, p); err != nil {
			w.t.Fatal(err)
		}
	}
}

// canary is what nothing may print.
const canary = "zq7canary"
