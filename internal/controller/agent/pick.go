// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
)

// picked is what a node is to do about one map.
type picked struct {
	// wanted is the revision to hold; nil for none.
	wanted *v1alpha1.BPFMapRevision
	// undecided says that nothing is to be done yet, and nothing removed.
	undecided bool
	// kept says that wanted doesn't select the node any more, and that the map stays until the node is released from it.
	kept bool
	// removal says for people why the node is to have no map; empty if it is to have one.
	removal string
}

// pick decides about a map from its revisions, the labels of the own Node, what the node holds of the map, and the
// releases in the BPFNodeState.
//
// The newest revision that got to the node decides. If it doesn't select the node and the node holds another one,
// the rollout brought the removal. If the node holds that very revision, its labels changed, perhaps those of all
// nodes at once: it keeps the map until the controller releases it. There may be revisions of which none got to the
// node, as after a restore of objects without their status: that decides nothing.
func pick(revisions []v1alpha1.BPFMapRevision, node string, set labels.Set, h holding, releases []v1alpha1.MapRelease) picked {
	if len(revisions) == 0 {
		return picked{removal: "there is no revision of the map"}
	}
	newest := rollout.Newest(revisions, node)
	switch {
	case newest == nil:
		return picked{undecided: true}
	case labels.SelectorFromSet(newest.Spec.NodeSelector).Matches(set):
		return picked{wanted: newest}
	case !h.holds(newest):
		return picked{removal: fmt.Sprintf("nodeSelector %s of revision %s doesn't select the node", selectorOf(newest), newest.Name)}
	case !released(releases, newest):
		return picked{wanted: newest, kept: true}
	}
	return picked{removal: fmt.Sprintf("the node's labels don't match nodeSelector %s of revision %s any more", selectorOf(newest), newest.Name)}
}

// holds says whether the node has the map at a revision.
func (h *holding) holds(rev *v1alpha1.BPFMapRevision) bool {
	return h.present && h.uid == rev.Spec.MapUID && h.revision == rev.Name
}

func selectorOf(rev *v1alpha1.BPFMapRevision) string {
	return labels.Set(rev.Spec.NodeSelector).String()
}
