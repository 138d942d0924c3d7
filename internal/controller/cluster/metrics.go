// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/series"
)

// metricsFor are spec.metrics as nodes that hold a revision are to serve them: what the spec says, if it is accepted
// and that fits the revision's key and value, and else what they serve already.
func (s *scope) metricsFor(rev *v1alpha1.BPFMapRevision) *v1alpha1.MapMetrics {
	m := s.m.Spec.Metrics
	switch {
	case s.rejected != nil || s.want == nil:
		return rev.Status.Metrics
	case m == nil:
		return nil
	}
	_, wrong := series.New(m, series.Subject{
		Type: rev.Spec.Type, Key: rev.Spec.Key, Value: rev.Spec.Value, Sensitive: rev.Spec.Sensitive,
	})
	if len(wrong) > 0 {
		return rev.Status.Metrics
	}
	return m.DeepCopy()
}

// tellMetrics writes spec.metrics to the revisions that nodes may hold, where agents see them: at once, since nothing of
// any map depends on them. The newest one has them already if it was just made.
func (r *reconciler) tellMetrics(ctx context.Context, s *scope) error {
	for i := range s.fleet.revisions {
		rev := &s.fleet.revisions[i]
		want := s.metricsFor(rev)
		if equality.Semantic.DeepEqual(rev.Status.Metrics, want) {
			continue
		}
		next := rev.Status
		next.Metrics = want
		if err := r.writeRevisionStatus(ctx, rev, next); err != nil {
			return fmt.Errorf("write metrics of %s: %w", rev.Name, err)
		}
		log.FromContext(ctx).Info("Told the agents which metrics to serve", "revision", rev.Name)
		changed := rev.DeepCopy() // the cache's own stays as it is
		changed.Status = next
		s.fleet.revisions[i] = *changed
	}
	return nil
}
