// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package liveness

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
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
	expressions []labels.Requirement // of affinity, to name those that a node doesn't meet
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
		affinity: nodeaffinity.GetRequiredNodeAffinity(pod), expressions: expressions(template.Spec.Affinity), tolerations: template.Spec.Tolerations,
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
		return "the agents' DaemonSet names one node"
	}
	if fits, err := r.affinity.Match(node); err != nil || !fits {
		if why := r.mismatch(node); why != "" {
			return "the agents' DaemonSet wants " + why
		}
		return "the agents' DaemonSet doesn't select the node"
	}
	taint, found := v1helper.FindMatchingUntoleratedTaint(klog.Background(), node.Spec.Taints, r.tolerations, func(t *corev1.Taint) bool {
		keeps := t.Effect == corev1.TaintEffectNoExecute || (t.Effect == corev1.TaintEffectNoSchedule && !running)
		return keeps && !slices.Contains(troubles, t.Key)
	}, true)
	if found {
		return fmt.Sprintf("the agents don't tolerate the taint %s", taint.ToString())
	}
	return ""
}

// mismatch is what the DaemonSet's nodeSelector and affinity want of a node and it hasn't: "kubernetes.io/os=linux",
// "type notin (virtual-kubelet)". Empty where the affinity has several terms, of which one would do.
func (r *Rules) mismatch(node *corev1.Node) string {
	var lacks []string
	for _, key := range slices.Sorted(maps.Keys(r.selector)) {
		if value, ok := node.Labels[key]; !ok || value != r.selector[key] {
			lacks = append(lacks, key+"="+r.selector[key])
		}
	}
	for _, wanted := range r.expressions {
		if !wanted.Matches(labels.Set(node.Labels)) {
			lacks = append(lacks, wanted.String())
		}
	}
	return strings.Join(lacks, " and ")
}

// expressions are what the affinity wants of labels, if it has one term.
func expressions(affinity *corev1.Affinity) (list []labels.Requirement) {
	if affinity == nil || affinity.NodeAffinity == nil || affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return nil
	}
	terms := affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	if len(terms) != 1 {
		return nil
	}
	for _, e := range terms[0].MatchExpressions {
		// An operator that isn't of labels, or values that don't fit it, are left out: the affinity itself decides.
		if r, err := labels.NewRequirement(e.Key, operators[e.Operator], e.Values); err == nil {
			list = append(list, *r)
		}
	}
	return list
}

var operators = map[corev1.NodeSelectorOperator]selection.Operator{
	corev1.NodeSelectorOpIn: selection.In, corev1.NodeSelectorOpNotIn: selection.NotIn,
	corev1.NodeSelectorOpExists: selection.Exists, corev1.NodeSelectorOpDoesNotExist: selection.DoesNotExist,
	corev1.NodeSelectorOpGt: selection.GreaterThan, corev1.NodeSelectorOpLt: selection.LessThan,
}
