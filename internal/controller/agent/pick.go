// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"k8s.io/apimachinery/pkg/labels"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
)

// pick is the revision for a node: the newest one that has got to it, if that selects it by its labels;
// nil if it doesn't, or if none has got there.
func pick(revisions []v1alpha1.BPFMapRevision, node string, set labels.Set) *v1alpha1.BPFMapRevision {
	best := rollout.Newest(revisions, node)
	if best == nil || !labels.SelectorFromSet(best.Spec.NodeSelector).Matches(set) {
		return nil
	}
	return best
}
