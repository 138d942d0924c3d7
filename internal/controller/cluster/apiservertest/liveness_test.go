// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservertest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/cluster"
	"github.com/bpfmap-io/bpfmap-operator/internal/liveness"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// agentNamespace is where the controller's role lets it see pods.
const agentNamespace = "bpfmap-system"

// livesWorld is a controller that knows the agents' DaemonSet. Its pods are played: no kubelet and no DaemonSet
// controller run here.
type livesWorld struct {
	*world
	agents *appsv1.DaemonSet
	pods   map[string]*corev1.Pod
}

func newLivesWorld(t *testing.T) *livesWorld {
	t.Helper()
	w := &livesWorld{world: newIdleWorld(t), pods: map[string]*corev1.Pod{}}
	labels := map[string]string{"app.kubernetes.io/component": "agent"}
	restricted(t) // its namespace
	w.agents = &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: agentNamespace, GenerateName: "agents-"}}
	w.agents.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
	w.agents.Spec.Template.Labels = labels
	w.agents.Spec.Template.Spec.NodeSelector = map[string]string{corev1.LabelOSStable: "linux"}
	w.agents.Spec.Template.Spec.Containers = []corev1.Container{{Name: "agent", Image: "agent"}}
	if err := w.Create(t.Context(), w.agents); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Delete(t.Context(), w.agents); client.IgnoreNotFound(err) != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	w.options = func(o *cluster.Options) { o.Namespace, o.AgentDaemonSet = agentNamespace, w.agents.Name }
	w.start()
	return w
}

// linux is a Node that is Ready and has an agent that is, with the given label.
func (w *livesWorld) linux() string {
	w.t.Helper()
	name := w.node(w.namespace)
	w.label(name, corev1.LabelOSStable, "linux")
	w.nodeReady(name, corev1.ConditionTrue)
	w.startAgent(name)
	return name
}

func (w *livesWorld) label(node, key, value string) {
	w.t.Helper()
	await.Nil(w.t, limit, func() error {
		n := &corev1.Node{}
		if err := w.Get(w.t.Context(), client.ObjectKey{Name: node}, n); err != nil {
			return err
		}
		n.Labels[key] = value
		return w.Update(w.t.Context(), n)
	})
}

func (w *livesWorld) nodeReady(node string, status corev1.ConditionStatus) {
	w.t.Helper()
	await.Nil(w.t, limit, func() error {
		n := &corev1.Node{}
		if err := w.Get(w.t.Context(), client.ObjectKey{Name: node}, n); err != nil {
			return err
		}
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status, LastTransitionTime: metav1.Now()}}
		return w.Status().Update(w.t.Context(), n)
	})
}

// startAgent makes an agent's pod on a node that is Ready.
func (w *livesWorld) startAgent(node string) {
	w.t.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: agentNamespace, GenerateName: w.agents.Name + "-", Labels: w.agents.Spec.Template.Labels,
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(w.agents, appsv1.SchemeGroupVersion.WithKind("DaemonSet"))},
	}}
	p.Spec = corev1.PodSpec{NodeName: node, Containers: w.agents.Spec.Template.Spec.Containers}
	if err := w.Create(w.t.Context(), p); err != nil {
		w.t.Fatal(err)
	}
	w.pods[node] = p
	w.podReady(node, corev1.ConditionTrue)
}

func (w *livesWorld) podReady(node string, status corev1.ConditionStatus) {
	w.t.Helper()
	p := w.pods[node]
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status, LastTransitionTime: metav1.Now()}}
	if err := w.Status().Update(w.t.Context(), p); err != nil {
		w.t.Fatal(err)
	}
}

// stopAgent removes a node's pod as the kubelet does when its containers have ended.
func (w *livesWorld) stopAgent(node string) {
	w.t.Helper()
	if err := w.Delete(w.t.Context(), w.pods[node], client.GracePeriodSeconds(0)); err != nil {
		w.t.Fatal(err)
	}
}

// holds plays an agent whose host is ready and whose map is as declared.
func (w *livesWorld) holds(node string, m *v1alpha1.BPFMap, revision string) {
	w.t.Helper()
	w.report(node, ready(m, revision))
	await.Nil(w.t, limit, func() error {
		s := &v1alpha1.BPFNodeState{}
		if err := w.Get(w.t.Context(), client.ObjectKey{Name: node}, s); err != nil {
			return err
		}
		meta.SetStatusCondition(&s.Status.Conditions, metav1.Condition{
			Type: v1alpha1.ConditionHostReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonNodeReady, Message: "maps can be managed on this node",
		})
		return w.Status().Update(w.t.Context(), s)
	})
}

// awaitNode waits for the condition Ready of a node's state, and returns it.
func (w *livesWorld) awaitNode(node string, status metav1.ConditionStatus, reason string) *metav1.Condition {
	w.t.Helper()
	var c *metav1.Condition
	await.Nil(w.t, limit, func() error {
		s := &v1alpha1.BPFNodeState{}
		if err := w.Get(w.t.Context(), client.ObjectKey{Name: node}, s); err != nil {
			return err
		}
		if c = meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady); c == nil || c.Status != status || c.Reason != reason {
			return fmt.Errorf("Ready is %+v, want %s, %s", c, status, reason)
		}
		return nil
	})
	return c
}

// awaitMap waits for the condition Ready of a BPFMap.
func (w *livesWorld) awaitMap(name string, status metav1.ConditionStatus, reason string) *v1alpha1.BPFMap {
	w.t.Helper()
	m := w.awaitCondition(name, v1alpha1.ConditionReady, reason)
	if c := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionReady); c.Status != status {
		w.t.Fatalf("Ready is %+v, want %s", c, status)
	}
	return m
}

func (w *livesWorld) messageOf(m *v1alpha1.BPFMap) string {
	return meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionReady).Message
}

// TestNodeDies and comes back: its state and the BPFMap say so, and since when.
func TestNodeDies(t *testing.T) {
	w := newLivesWorld(t)
	a, b := w.linux(), w.linux()
	m := w.create("blocklist", strings.ReplaceAll(blocklist, "edge", w.namespace))
	w.holds(a, m, "blocklist-1")
	w.holds(b, m, "blocklist-1")
	w.awaitMap("blocklist", metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.awaitNode(b, metav1.ConditionTrue, v1alpha1.ReasonNodeReady)

	start := time.Now()
	w.nodeReady(b, corev1.ConditionUnknown)
	m = w.awaitMap("blocklist", metav1.ConditionUnknown, v1alpha1.ReasonNodesUnknown)
	t.Logf("from a Node that isn't Ready to a BPFMap that says so: %s", time.Since(start))
	c := w.awaitNode(b, metav1.ConditionUnknown, v1alpha1.ReasonNodeStatusUnknown)
	if since := c.LastTransitionTime.Time; since.Before(start.Truncate(time.Second)) || !strings.Contains(c.Message, since.UTC().Format(time.RFC3339)) {
		t.Errorf("condition %+v doesn't say since when", c)
	}
	if n := m.Status.Nodes; n.Desired != 2 || n.Ready != 1 || n.Unknown != 1 || n.Updated != 1 {
		t.Errorf("nodes = %+v", n)
	}
	if message := w.messageOf(m); !strings.Contains(message, b) || !strings.Contains(message, "the Node isn't Ready (since ") {
		t.Errorf("message %q", message)
	}
	w.awaitEvent("blocklist", v1alpha1.ReasonNodesUnknown)

	start = time.Now()
	w.nodeReady(b, corev1.ConditionTrue)
	w.awaitMap("blocklist", metav1.ConditionTrue, v1alpha1.ReasonReady)
	t.Logf("from a Node that is Ready again to a BPFMap that is: %s", time.Since(start))
	w.awaitNode(b, metav1.ConditionTrue, v1alpha1.ReasonNodeReady)
}

// TestAgentDies: a pod that is gone for longer than the grace makes its node Unknown, the next one brings it back.
func TestAgentDies(t *testing.T) {
	w := newLivesWorld(t)
	a, b := w.linux(), w.linux()
	m := w.create("blocklist", strings.ReplaceAll(blocklist, "edge", w.namespace))
	w.holds(a, m, "blocklist-1")
	w.holds(b, m, "blocklist-1")
	w.awaitMap("blocklist", metav1.ConditionTrue, v1alpha1.ReasonReady)

	w.podReady(a, corev1.ConditionFalse)
	start := time.Now()
	w.stopAgent(b)
	w.awaitMap("blocklist", metav1.ConditionUnknown, v1alpha1.ReasonNodesUnknown)
	t.Logf("from an agent that is gone to a BPFMap that says so: %s, of which %s are grace", time.Since(start), liveness.Grace)
	for node, message := range map[string]string{a: "the agent's pod isn't Ready (since ", b: "the agent has no pod (since "} {
		c := w.awaitNode(node, metav1.ConditionUnknown, v1alpha1.ReasonAgentStatusUnknown)
		if !strings.Contains(c.Message, message) || c.LastTransitionTime.Before(&metav1.Time{Time: start.Add(-2 * time.Second)}) {
			t.Errorf("%s: %+v, want %q", node, c, message)
		}
	}
	w.podReady(a, corev1.ConditionTrue)
	w.startAgent(b)
	m = w.awaitMap("blocklist", metav1.ConditionTrue, v1alpha1.ReasonReady)
	if n := m.Status.Nodes; n.Ready != 2 {
		t.Errorf("nodes = %+v", n)
	}
	w.awaitNode(b, metav1.ConditionTrue, v1alpha1.ReasonNodeReady)
}

// TestAgentRestarts within its grace: nobody hears of it, neither maps nor nodes are written.
func TestAgentRestarts(t *testing.T) {
	w := newLivesWorld(t)
	a, b := w.linux(), w.linux()
	m := w.create("blocklist", strings.ReplaceAll(blocklist, "edge", w.namespace))
	w.holds(a, m, "blocklist-1")
	w.holds(b, m, "blocklist-1")
	w.awaitMap("blocklist", metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.awaitNode(a, metav1.ConditionTrue, v1alpha1.ReasonNodeReady)
	w.awaitNode(b, metav1.ConditionTrue, v1alpha1.ReasonNodeReady)
	before := w.versions("blocklist", a, b)

	w.stopAgent(b)
	w.startAgent(b)
	// What comes after it has come through the same queues.
	w.nodeReady(a, corev1.ConditionUnknown)
	m = w.awaitMap("blocklist", metav1.ConditionUnknown, v1alpha1.ReasonNodesUnknown)
	if n := m.Status.Nodes; n.Unknown != 1 {
		t.Errorf("nodes = %+v", n)
	}
	w.awaitNode(a, metav1.ConditionUnknown, v1alpha1.ReasonNodeStatusUnknown)
	if after := w.versions("blocklist", a, b); after[b] != before[b] {
		t.Errorf("the state of a node whose agent restarted was written: %s, before %s", after[b], before[b])
	}
}

// versions are the resource versions of a BPFMap and of nodes' states.
func (w *livesWorld) versions(name string, nodes ...string) map[string]string {
	w.t.Helper()
	m, err := w.get(name)
	if err != nil {
		w.t.Fatal(err)
	}
	versions := map[string]string{name: m.ResourceVersion}
	for _, node := range nodes {
		s := &v1alpha1.BPFNodeState{}
		if err := w.Get(w.t.Context(), client.ObjectKey{Name: node}, s); err != nil {
			w.t.Fatal(err)
		}
		versions[node] = s.ResourceVersion
	}
	return versions
}

// TestNodesWithoutAgent aren't counted, and are told; a DaemonSet that is changed to run there changes that.
func TestNodesWithoutAgent(t *testing.T) {
	w := newLivesWorld(t)
	a, other := w.linux(), w.node(w.namespace)
	w.label(other, corev1.LabelOSStable, "windows")
	w.nodeReady(other, corev1.ConditionTrue)
	m := w.create("blocklist", strings.ReplaceAll(blocklist, "edge", w.namespace))
	w.holds(a, m, "blocklist-1")
	m = w.awaitMap("blocklist", metav1.ConditionTrue, v1alpha1.ReasonReady)
	if n := m.Status.Nodes; n.Desired != 1 || n.WithoutAgent != 1 {
		t.Errorf("nodes = %+v, want 1 desired and 1 without an agent", n)
	}
	if c := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionReady); !strings.Contains(c.Message, "on "+other+": the agents' DaemonSet wants kubernetes.io/os=linux") {
		t.Errorf("Ready doesn't say why there is no agent on the other: %s", c.Message)
	}

	// An update reaches the one node without waiting for the other.
	w.edit("blocklist", addEntry("192.0.2.9"))
	w.awaitRevisions("blocklist", map[string]bool{"blocklist-1": true, "blocklist-2": true})
	w.holds(a, m, "blocklist-2")
	w.awaitMap("blocklist", metav1.ConditionTrue, v1alpha1.ReasonReady)

	d := &appsv1.DaemonSet{}
	await.Nil(t, limit, func() error {
		if err := w.Get(t.Context(), client.ObjectKeyFromObject(w.agents), d); err != nil {
			return err
		}
		d.Spec.Template.Spec.NodeSelector = nil
		return w.Update(t.Context(), d)
	})
	m = w.awaitMap("blocklist", metav1.ConditionUnknown, v1alpha1.ReasonNodesUnknown)
	if n := m.Status.Nodes; n.Desired != 2 || n.Unknown != 1 || n.WithoutAgent != 0 {
		t.Errorf("nodes = %+v, want 2 desired, 1 unknown", n)
	}

	if err := w.Delete(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	w.stopAgent(a)
	c := w.awaitNode(a, metav1.ConditionUnknown, v1alpha1.ReasonAgentStatusUnknown)
	if !strings.Contains(c.Message, "the agents' DaemonSet doesn't exist") {
		t.Errorf("message %q", c.Message)
	}
}

// TestControllerRestarts beside a node that died while none ran: it says so, and nothing else.
func TestControllerRestarts(t *testing.T) {
	w := newLivesWorld(t)
	a := w.linux()
	m := w.create("blocklist", strings.ReplaceAll(blocklist, "edge", w.namespace))
	w.holds(a, m, "blocklist-1")
	w.awaitMap("blocklist", metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.awaitNode(a, metav1.ConditionTrue, v1alpha1.ReasonNodeReady)
	w.stop()
	w.stopAgent(a)
	w.start()
	w.awaitMap("blocklist", metav1.ConditionUnknown, v1alpha1.ReasonNodesUnknown)
	w.awaitNode(a, metav1.ConditionUnknown, v1alpha1.ReasonAgentStatusUnknown)
}
