// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// metricsServed says whether the agents serve all that spec.metrics wants, as far as they were scraped.
func metricsServed(nodes []node, counts tally) metav1.Condition {
	c := metav1.Condition{
		Type: v1alpha1.ConditionMetricsServed, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonMetricsServed,
		Message: "no agent was asked for metrics of the map's contents that it couldn't serve",
	}
	var lacking []node
	for _, n := range nodes {
		if n.class != ClassUnknown && n.mapState.MetricsMessage != "" {
			lacking = append(lacking, n)
		}
	}
	if len(lacking) > 0 {
		all := int(counts.Desired)
		c.Status, c.Reason = metav1.ConditionFalse, v1alpha1.ReasonMetricsLeftOut
		c.Message = fmt.Sprintf("metrics are incomplete on %d of %s: %s", len(lacking), text.Count(all, "node", "nodes"),
			listBy(lacking, all, func(n node) (string, time.Time) { return n.mapState.MetricsMessage, time.Time{} }))
	}
	return c
}
