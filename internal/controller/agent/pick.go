// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
)

// picked is what a node is to do about one map. The zero picked is that it is to have no such map.
type picked struct {
	// wanted is the revision to hold; nil for none.
	wanted *v1alpha1.BPFMapRevision
	// undecided says that nothing is to be done yet, and nothing removed.
	undecided bool
	// removal says for people why the node is to have no map; empty if it is to have one.
	removal string
}

// pick decides about a map from its revisions, the labels of the own Node, the name of the revision that the node
// holds, empty if it doesn't have the map, and the releases in its BPFNodeState.
//
// The newest revision that got to the node decides. If it doesn't select the node and the node holds another one,
// the rollout brought the removal. If the node holds that very revision, its labels changed, perhaps those of all
// nodes at once: it keeps the map until the controller releases it. There may be revisions of which none got to the
// node, as after a restore of objects without their status: that decides nothing.
func pick(revisions []v1alpha1.BPFMapRevision, node string, set labels.Set, held string, releases []v1alpha1.MapRelease) picked {
	if len(revisions) == 0 {
		return picked{removal: "no revision of the map is left"}
	}
	newest := rollout.Newest(revisions, node)
	switch {
	case newest == nil:
		return picked{undecided: true}
	case labels.SelectorFromSet(newest.Spec.NodeSelector).Matches(set):
		return picked{wanted: newest}
	case held == newest.Name && !released(releases, newest):
		return picked{wanted: newest}
	case held == newest.Name:
		return picked{removal: fmt.Sprintf("the node's labels don't match nodeSelector %s of revision %s any more", selectorOf(newest), newest.Name)}
	}
	return picked{removal: fmt.Sprintf("nodeSelector %s of revision %s doesn't select the node", selectorOf(newest), newest.Name)}
}

func selectorOf(rev *v1alpha1.BPFMapRevision) string {
	return labels.Set(rev.Spec.NodeSelector).String()
}

// released says whether the node may give up the map that it holds at a revision.
func released(releases []v1alpha1.MapRelease, rev *v1alpha1.BPFMapRevision) bool {
	return slices.ContainsFunc(releases, func(r v1alpha1.MapRelease) bool {
		return r.Namespace == rev.Namespace && r.Name == rev.Spec.MapName && r.Revision == rev.Name &&
			(r.UID == "" || r.UID == rev.Spec.MapUID)
	})
}
