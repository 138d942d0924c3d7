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

// lines are what all nodes report about one BPFMap, by the node's name.
func (r *reconciler) lines(ctx context.Context, name types.NamespacedName) (map[string]v1alpha1.NodeMap, error) {
	var states v1alpha1.BPFNodeStateList
	err := r.client.List(ctx, &states, client.MatchingFields{indexLines: name.String()}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list node states: %w", err)
	}
	lines := make(map[string]v1alpha1.NodeMap, len(states.Items))
	for i := range states.Items {
		for _, line := range states.Items[i].Status.Maps {
			if line.Namespace == name.Namespace && line.Name == name.Name {
				lines[states.Items[i].Name] = line
			}
		}
	}
	return lines, nil
}
