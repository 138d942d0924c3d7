// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package liveness

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	noon    = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	earlier = noon.Add(-time.Hour)
)

func node(ready corev1.ConditionStatus, taints ...corev1.Taint) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", Labels: map[string]string{corev1.LabelOSStable: "linux"}}}
	n.Spec.Taints = taints
	if ready != "" {
		n.Status.Conditions = []corev1.NodeCondition{
			{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse},
			{Type: corev1.NodeReady, Status: ready, LastTransitionTime: metav1.NewTime(earlier)},
		}
	}
	return n
}

func onWindows(n *corev1.Node) *corev1.Node {
	n.Labels[corev1.LabelOSStable] = "windows"
	return n
}

// pod is an agent's, whose condition Ready became what it is at a time.
func pod(ready corev1.ConditionStatus, since time.Time) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(earlier)}}
	p.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
		{Type: corev1.PodReady, Status: ready, LastTransitionTime: metav1.NewTime(since)},
	}
	return p
}

// made is a pod that no kubelet has seen yet.
func made(at time.Time) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(at)}}
}

func rules(tolerations ...corev1.Toleration) *Rules {
	t := &corev1.PodTemplateSpec{}
	t.Spec.NodeSelector = map[string]string{corev1.LabelOSStable: "linux"}
	t.Spec.Tolerations = tolerations
	return NewRules(t)
}

// affine are rules whose affinity has a term for each operator, with the value "windows" for the operating system.
func affine(operators ...corev1.NodeSelectorOperator) *Rules {
	var terms []corev1.NodeSelectorTerm
	for _, o := range operators {
		terms = append(terms, corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelOSStable, Operator: o, Values: []string{"windows"}}}})
	}
	t := &corev1.PodTemplateSpec{}
	t.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms}}}
	return NewRules(t)
}

// noAgent is the verdict on a node that is left out.
func noAgent(why string) Liveness {
	return Liveness{State: NoAgent, Message: "no agent is to run there: " + why, Why: why}
}

func TestOf(t *testing.T) {
	const notReady, noPod, podNotReady = "the Node isn't Ready", "the agent has no pod", "the agent's pod isn't Ready"
	gpu := corev1.Taint{Key: "gpu", Value: "yes", Effect: corev1.TaintEffectNoSchedule}
	drain := corev1.Taint{Key: "drain", Effect: corev1.TaintEffectNoExecute}
	recent := noon.Add(-3 * time.Second)
	graceful := Liveness{Since: earlier, Until: recent.Add(Grace)}
	alive := Liveness{Since: earlier}
	ready := pod(corev1.ConditionTrue, earlier)
	for _, c := range []struct {
		name  string
		node  *corev1.Node
		agent Agent
		want  Liveness
	}{
		{"no DaemonSet is known, the Node has no conditions", node(""), Agent{}, Liveness{}},
		{"no DaemonSet is known, the Node is Ready", node(corev1.ConditionTrue), Agent{}, alive},
		{"no DaemonSet is known, the Node isn't Ready", node(corev1.ConditionFalse), Agent{}, Liveness{State: NodeUnknown, Since: earlier, Message: notReady}},
		{"no DaemonSet is known, but pods", node(corev1.ConditionTrue), Agent{Pods: []*corev1.Pod{pod(corev1.ConditionFalse, earlier)}}, alive},

		{"a pod is Ready", node(corev1.ConditionTrue), Agent{Rules: rules(), Pods: []*corev1.Pod{ready}}, alive},
		{"the Node's kubelet is silent", node(corev1.ConditionUnknown), Agent{Rules: rules(), Pods: []*corev1.Pod{ready}},
			Liveness{State: NodeUnknown, Since: earlier, Message: notReady}},
		{"neither is Ready", node(corev1.ConditionUnknown), Agent{Rules: rules(), Pods: []*corev1.Pod{pod(corev1.ConditionFalse, noon)}},
			Liveness{State: NodeUnknown, Since: earlier, Message: notReady}},
		{"an old pod that ends, and a new one that is Ready", node(corev1.ConditionTrue),
			Agent{Rules: rules(), Pods: []*corev1.Pod{pod(corev1.ConditionFalse, earlier), pod(corev1.ConditionTrue, noon)}}, Liveness{Since: noon}},
		{"a pod isn't Ready since just now", node(corev1.ConditionTrue), Agent{Rules: rules(), Pods: []*corev1.Pod{pod(corev1.ConditionFalse, recent)}}, graceful},
		{"a pod isn't Ready since long", node(corev1.ConditionTrue), Agent{Rules: rules(), Pods: []*corev1.Pod{pod(corev1.ConditionFalse, earlier)}},
			Liveness{State: AgentUnknown, Since: earlier, Message: podNotReady}},
		{"the grace ends now", node(corev1.ConditionTrue), Agent{Rules: rules(), Pods: []*corev1.Pod{pod(corev1.ConditionFalse, noon.Add(-Grace))}},
			Liveness{State: AgentUnknown, Since: noon.Add(-Grace), Message: podNotReady}},
		{"two pods that aren't Ready: since the first wasn't", node(corev1.ConditionTrue),
			Agent{Rules: rules(), Pods: []*corev1.Pod{pod(corev1.ConditionFalse, recent), pod(corev1.ConditionFalse, earlier)}},
			Liveness{State: AgentUnknown, Since: earlier, Message: podNotReady}},
		{"a pod that no kubelet has seen", node(corev1.ConditionTrue), Agent{Rules: rules(), Pods: []*corev1.Pod{made(recent)}}, graceful},
		{"a new pod after one that was lost long ago", node(corev1.ConditionTrue), Agent{Rules: rules(), Pods: []*corev1.Pod{made(recent)}, Lost: earlier},
			Liveness{State: AgentUnknown, Since: earlier, Message: podNotReady}},
		{"no pod, just now", node(corev1.ConditionTrue), Agent{Rules: rules(), Lost: recent}, graceful},
		{"no pod since long", node(corev1.ConditionTrue), Agent{Rules: rules(), Lost: earlier}, Liveness{State: AgentUnknown, Since: earlier, Message: noPod}},
		{"no pod, and nobody saw one", node(corev1.ConditionTrue), Agent{Rules: rules()}, Liveness{State: AgentUnknown, Message: noPod}},
		{"the DaemonSet doesn't exist", node(corev1.ConditionTrue), Agent{Rules: NewRules(nil)},
			Liveness{State: AgentUnknown, Message: "the agents' DaemonSet doesn't exist"}},
		{"the DaemonSet doesn't exist any more, its pod does", node(corev1.ConditionTrue), Agent{Rules: NewRules(nil), Pods: []*corev1.Pod{ready}}, alive},

		{"another operating system", onWindows(node(corev1.ConditionTrue)), Agent{Rules: rules()},
			noAgent("the agents' DaemonSet wants kubernetes.io/os=linux")},
		{"another operating system, and not Ready", onWindows(node(corev1.ConditionFalse)), Agent{Rules: rules()},
			noAgent("the agents' DaemonSet wants kubernetes.io/os=linux")},
		{"excluded, but its agent still runs", onWindows(node(corev1.ConditionTrue)), Agent{Rules: rules(), Pods: []*corev1.Pod{ready}}, alive},
		{"excluded by affinity", onWindows(node(corev1.ConditionTrue)), Agent{Rules: affine(corev1.NodeSelectorOpNotIn)},
			noAgent("the agents' DaemonSet wants kubernetes.io/os notin (windows)")},
		{"excluded by each of two terms, of which one would do", onWindows(node(corev1.ConditionTrue)), Agent{Rules: affine(corev1.NodeSelectorOpNotIn, corev1.NodeSelectorOpNotIn)},
			noAgent("the agents' DaemonSet doesn't select the node")},
		{"excluded by affinity to another operating system", node(corev1.ConditionTrue), Agent{Rules: affine(corev1.NodeSelectorOpIn)},
			noAgent("the agents' DaemonSet wants kubernetes.io/os in (windows)")},
		{"not excluded by affinity", node(corev1.ConditionTrue), Agent{Rules: affine(corev1.NodeSelectorOpNotIn)}, Liveness{State: AgentUnknown, Message: noPod}},
		{"a taint that isn't tolerated", node(corev1.ConditionTrue, gpu), Agent{Rules: rules()},
			noAgent("the agents don't tolerate the taint gpu=yes:NoSchedule")},
		{"a taint that is tolerated", node(corev1.ConditionTrue, gpu), Agent{Rules: rules(corev1.Toleration{Operator: corev1.TolerationOpExists})},
			Liveness{State: AgentUnknown, Message: noPod}},
		{"a taint against new pods, and one that is there", node(corev1.ConditionTrue, gpu),
			Agent{Rules: rules(), Pods: []*corev1.Pod{pod(corev1.ConditionFalse, earlier)}}, Liveness{State: AgentUnknown, Since: earlier, Message: podNotReady}},
		{"a taint that drives out", node(corev1.ConditionTrue, drain), Agent{Rules: rules(), Pods: []*corev1.Pod{pod(corev1.ConditionFalse, earlier)}},
			noAgent("the agents don't tolerate the taint drain:NoExecute")},
		{"a preference isn't a reason", node(corev1.ConditionTrue, corev1.Taint{Key: "x", Effect: corev1.TaintEffectPreferNoSchedule}), Agent{Rules: rules()},
			Liveness{State: AgentUnknown, Message: noPod}},
	} {
		if diff := cmp.Diff(c.want, Of(c.node, c.agent, noon)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", c.name, diff)
		}
	}
}

// TestTroubles of a node don't make it one where no agent is to run, even if the DaemonSet tolerates nothing. The API
// server itself taints each new Node as not ready.
func TestTroubles(t *testing.T) {
	for _, key := range []string{
		corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeDiskPressure, corev1.TaintNodeMemoryPressure,
		corev1.TaintNodePIDPressure, corev1.TaintNodeUnschedulable, corev1.TaintNodeNetworkUnavailable, corev1.TaintNodeOutOfService,
	} {
		for _, effect := range []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute} {
			for ready, want := range map[corev1.ConditionStatus]State{corev1.ConditionTrue: AgentUnknown, corev1.ConditionFalse: NodeUnknown} {
				n := node(ready, corev1.Taint{Key: key, Effect: effect})
				if got := Of(n, Agent{Rules: rules()}, noon); got.State != want {
					t.Errorf("taint %s:%s, Node Ready %s: %+v", key, effect, ready, got)
				}
			}
		}
	}
}

// TestNamedNode is of a DaemonSet that names one node.
func TestNamedNode(t *testing.T) {
	template := &corev1.PodTemplateSpec{}
	for name, want := range map[string]State{"node-1": AgentUnknown, "node-2": NoAgent} {
		template.Spec.NodeName = name
		if got := Of(node(corev1.ConditionTrue), Agent{Rules: NewRules(template)}, noon); got.State != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestSame leaves out what makes no difference.
func TestSame(t *testing.T) {
	gone := Liveness{State: AgentUnknown, Since: earlier, Message: "a"}
	for _, c := range []struct {
		a, b Liveness
		want bool
	}{
		{Liveness{Since: earlier}, Liveness{Since: noon, Until: noon}, true},
		{gone, gone, true},
		{gone, Liveness{State: AgentUnknown, Since: earlier.Local(), Message: "a"}, true},
		{gone, Liveness{State: AgentUnknown, Since: noon, Message: "a"}, false},
		{gone, Liveness{State: AgentUnknown, Since: earlier, Message: "b"}, false},
		{gone, Liveness{State: NodeUnknown, Since: earlier, Message: "a"}, false},
		{gone, Liveness{}, false},
	} {
		if got := c.a.Same(c.b); got != c.want || c.b.Same(c.a) != got {
			t.Errorf("%+v and %+v are the same: %t, want %t", c.a, c.b, got, c.want)
		}
	}
}

func BenchmarkOf(b *testing.B) {
	n, r := node(corev1.ConditionTrue), rules(corev1.Toleration{Operator: corev1.TolerationOpExists})
	for name, ready := range map[string]corev1.ConditionStatus{"alive": corev1.ConditionTrue, "gone": corev1.ConditionFalse} {
		agent := Agent{Rules: r, Pods: []*corev1.Pod{pod(ready, earlier)}}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Of(n, agent, noon)
			}
		})
	}
}
