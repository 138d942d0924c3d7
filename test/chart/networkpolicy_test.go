// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
)

// TestPoliciesOfAllPods compares the pods of the chart, those of hooks too, with what the NetworkPolicies select: in a
// namespace that denies by default a pod without one reaches no API server.
func TestPoliciesOfAllPods(t *testing.T) {
	objects := parse(t, helmTemplate(t, "networkPolicy.enabled=true", "metrics.enabled=true"))
	pods := 0
	for _, object := range objects {
		var at []string
		switch object.GetKind() {
		case "Deployment", "DaemonSet", "Job":
			at = []string{"spec", "template"}
		case "Pod":
		default:
			continue
		}
		pods++
		of, _, err := unstructured.NestedStringMap(object.Object, append(at, "metadata", "labels")...)
		if err != nil {
			t.Fatal(err)
		}
		hook := object.GetAnnotations()["helm.sh/hook"]
		if !slices.ContainsFunc(objects, func(policy *unstructured.Unstructured) bool {
			wanted, _, err := unstructured.NestedStringMap(policy.Object, "spec", "podSelector", "matchLabels")
			// What isn't of the same hook is there from the installation until the release is deleted.
			there := hook != "post-delete" || policy.GetAnnotations()["helm.sh/hook"] == hook
			return policy.GetKind() == "NetworkPolicy" && err == nil && there && labels.SelectorFromSet(wanted).Matches(labels.Set(of))
		}) {
			t.Errorf("no NetworkPolicy selects the pods of %s %s while they run", object.GetKind(), object.GetName())
		}
	}
	if pods < 4 {
		t.Errorf("%d objects with pods, want the controller, the agent, and those of two hooks", pods)
	}
}
