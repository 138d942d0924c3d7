// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"k8s.io/apimachinery/pkg/labels"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// pick is the revision for a node with these labels: the newest of those that select it, nil if none
// does.
func pick(revisions []v1alpha1.BPFMapRevision, node labels.Set) *v1alpha1.BPFMapRevision {
	var best *v1alpha1.BPFMapRevision
	for i := range revisions {
		r := &revisions[i]
		if r.DeletionTimestamp != nil || !labels.SelectorFromSet(r.Spec.NodeSelector).Matches(node) {
			continue
		}
		if best == nil || r.Spec.Revision > best.Spec.Revision {
			best = r
		}
	}
	return best
}
