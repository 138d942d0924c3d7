// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/bpfmap-io/bpfmap-operator/internal/liveness"
)

// TestNodesLeftOut: by default nodes of other systems and virtual ones get no agent, and the controller, which looks at the
// DaemonSet, knows that it needn't wait for them.
func TestNodesLeftOut(t *testing.T) {
	const terms = "agent.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
	for way, manifests := range map[string]string{
		"chart": helmTemplate(t), "config/default": kustomize(t),
		"chart with an affinity of one's own": helmTemplate(t, terms+"[0].matchExpressions[0].key=absent", terms+"[0].matchExpressions[0].operator=DoesNotExist",
			terms+"[1].matchFields[0].key=metadata.name", terms+"[1].matchFields[0].operator=In", terms+"[1].matchFields[0].values[0]=n"),
	} {
		var agents appsv1.DaemonSet
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(find(t, parse(t, manifests), "DaemonSet", "-agent").Object, &agents); err != nil {
			t.Fatal(err)
		}
		rules := liveness.NewRules(&agents.Spec.Template)
		for name, c := range map[string]struct {
			labels map[string]string
			gets   bool
		}{
			"Linux":               {map[string]string{"kubernetes.io/os": "linux"}, true},
			"EKS, a machine":      {map[string]string{"kubernetes.io/os": "linux", "eks.amazonaws.com/compute-type": "auto"}, true},
			"Windows":             {map[string]string{"kubernetes.io/os": "windows"}, false},
			"Fargate":             {map[string]string{"kubernetes.io/os": "linux", "eks.amazonaws.com/compute-type": "fargate"}, false},
			"virtual-kubelet":     {map[string]string{"kubernetes.io/os": "linux", "type": "virtual-kubelet"}, false},
			"a label of the same": {map[string]string{"kubernetes.io/os": "linux", "type": "worker"}, true},
		} {
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: c.labels}}
			node.Spec.Taints = []corev1.Taint{{Key: "virtual-kubelet.io/provider", Effect: corev1.TaintEffectNoSchedule}}
			node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
			if got := liveness.Of(node, liveness.Agent{Rules: rules}, time.Now()).State != liveness.NoAgent; got != c.gets {
				t.Errorf("%s: a node of %s gets an agent: %t, want %t", way, name, got, c.gets)
			}
		}
	}
}

// TestVirtualNodes: who asks for agents on virtual nodes gets them there.
func TestVirtualNodes(t *testing.T) {
	agents := find(t, parse(t, helmTemplate(t, "agent.virtualNodes=true")), "DaemonSet", "-agent")
	if affinity, found, err := unstructured.NestedFieldNoCopy(agents.Object, "spec", "template", "spec", "affinity"); found || err != nil {
		t.Errorf("the agents have an affinity: %v, %v", affinity, err)
	}
}
