// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package liveness

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	v1helper "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

// Rules say on which nodes the agents' DaemonSet is to run a pod, as the DaemonSet controller decides it of nodes
// without troubles.
type Rules struct {
	// exist is false while the DaemonSet doesn't exist.
	exist       bool
	nodeName    string
	selector    map[string]string
	affinity    nodeaffinity.RequiredNodeAffinity
	tolerations []corev1.Toleration
}

// NewRules reads the pod template of the agents' DaemonSet; nil says that there should be one and isn't.
func NewRules(template *corev1.PodTemplateSpec) *Rules {
	if template == nil {
		return &Rules{}
	}
	pod := &corev1.Pod{Spec: template.Spec}
	return &Rules{
		exist: true, nodeName: template.Spec.NodeName, selector: template.Spec.NodeSelector,
		affinity: nodeaffinity.GetRequiredNodeAffinity(pod), tolerations: template.Spec.Tolerations,
	}
}

// troubles are the taints that a node has while something is wrong with it. They pass, and say nothing about whether an
// agent is to run there: the DaemonSet controller tolerates most of them (AddOrUpdateDaemonPodTolerations), and
// keeps pods back under the others until the node recovers.
var troubles = []string{
	corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeOutOfService, corev1.TaintNodeUnschedulable,
	corev1.TaintNodeMemoryPressure, corev1.TaintNodeDiskPressure, corev1.TaintNodePIDPressure, corev1.TaintNodeNetworkUnavailable,
}

// excludes says why no agent is to run on a node; empty if one is. A pod that is there stays there under a taint
// that keeps only new ones away.
func (r *Rules) excludes(node *corev1.Node, running bool) string {
	if r.nodeName != "" && r.nodeName != node.Name {
		return "no agent is to run there: the agents' DaemonSet names one node"
	}
	if fits, err := r.affinity.Match(node); err != nil || !fits {
		return "no agent is to run there: the agents' DaemonSet doesn't select the node" + r.mismatch(node)
	}
	taint, found := v1helper.FindMatchingUntoleratedTaint(klog.Background(), node.Spec.Taints, r.tolerations, func(t *corev1.Taint) bool {
		keeps := t.Effect == corev1.TaintEffectNoExecute || (t.Effect == corev1.TaintEffectNoSchedule && !running)
		return keeps && !slices.Contains(troubles, t.Key)
	}, true)
	if found {
		return fmt.Sprintf("no agent is to run there: the agents don't tolerate the taint %s", taint.ToString())
	}
	return ""
}

// mismatch names the labels of the DaemonSet's nodeSelector that a node lacks.
func (r *Rules) mismatch(node *corev1.Node) string {
	var lacks []string
	for _, key := range slices.Sorted(maps.Keys(r.selector)) {
		if value, ok := node.Labels[key]; !ok || value != r.selector[key] {
			lacks = append(lacks, key+"="+r.selector[key])
		}
	}
	if len(lacks) == 0 {
		return ""
	}
	return " (" + strings.Join(lacks, ",") + ")"
}
