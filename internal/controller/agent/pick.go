// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"k8s.io/apimachinery/pkg/labels"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
)

// pick is the revision for a node: the newest one that has got to it, if that selects it by its labels,
// and nil if it doesn't. undecided says that there are revisions and none has got here: nothing is to be
// done yet, and nothing removed (as after a restore of objects without their status).
func pick(revisions []v1alpha1.BPFMapRevision, node string, set labels.Set) (best *v1alpha1.BPFMapRevision, undecided bool) {
	best = rollout.Newest(revisions, node)
	switch {
	case best == nil:
		return nil, len(revisions) > 0
	case !labels.SelectorFromSet(best.Spec.NodeSelector).Matches(set):
		return nil, false
	}
	return best, false
}
