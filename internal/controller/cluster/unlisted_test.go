// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// TestOmits: a node whose state lists fewer maps than it counts may have any other one.
func TestOmits(t *testing.T) {
	x := newFleetIndex()
	state := &v1alpha1.BPFNodeState{}
	state.Name = "crowded"
	state.Status.Maps = []v1alpha1.NodeMap{{Namespace: "edge", Name: "a", State: v1alpha1.NodeMapReady}}
	state.Status.Summary.Maps = 5000
	x.setState(state.Name, state)
	if !x.omits("crowded") || x.omits("absent") {
		t.Error("a crowded node, or one that reports nothing, is taken for the other")
	}
	all := state.DeepCopy()
	all.Status.Summary.Maps = 1
	x.setState(all.Name, all)
	if x.omits("crowded") {
		t.Error("a node that lists all of its maps omits some")
	}
}
