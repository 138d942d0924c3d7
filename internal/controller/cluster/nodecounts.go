// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// cacheWait is how long a scrape waits for a cache that isn't filled yet.
const cacheWait = 100 * time.Millisecond

// countNodes counts the BPFNodeStates of the cache by the status of their condition Ready, for the metrics. A
// node without the condition is Unknown; false says that the cache isn't filled yet.
func countNodes(c client.Reader) (map[metav1.ConditionStatus]int, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), cacheWait)
	defer cancel()
	var list v1alpha1.BPFNodeStateList
	if err := c.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, false
	}
	counts := map[metav1.ConditionStatus]int{}
	for i := range list.Items {
		status := metav1.ConditionUnknown
		if ready := meta.FindStatusCondition(list.Items[i].Status.Conditions, v1alpha1.ConditionReady); ready != nil {
			status = ready.Status
		}
		counts[status]++
	}
	return counts, true
}
