// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// mapStates are what all nodes report about one BPFMap, by the node's name.
func (r *reconciler) mapStates(ctx context.Context, name types.NamespacedName) (map[string]v1alpha1.NodeMap, error) {
	var nodes v1alpha1.BPFNodeStateList
	err := r.client.List(ctx, &nodes, client.MatchingFields{indexMaps: name.String()}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list node states: %w", err)
	}
	states := make(map[string]v1alpha1.NodeMap, len(nodes.Items))
	for i := range nodes.Items {
		for _, m := range nodes.Items[i].Status.Maps {
			if m.Namespace == name.Namespace && m.Name == name.Name {
				states[nodes.Items[i].Name] = m
			}
		}
	}
	return states, nil
}
