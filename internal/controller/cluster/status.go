// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
)

// statusInput is what a BPFMap's status follows from; failure is what a step ended with.
func (s *scope) statusInput(failure error, now time.Time) status.Input {
	sources := s.sourceStatuses(now)
	in := status.Input{Map: s.m, Rejected: withSince(s.rejected, sources), Sources: sources, Held: s.held, Pending: s.pending, MapStates: s.fleet.mapStates, Now: now}
	if failure != nil {
		in.Failure = &status.Failure{Message: failure.Error(), Outdated: !s.revised}
	}
	if in.Revision = s.fleet.newest(); in.Revision == nil {
		return in
	}
	if in.Rollout = s.rollout; in.Rollout == nil { // a step before failed
		was := s.remembered(in.Revision)
		in.Rollout = &was
	}
	in.Nodes, in.Assigned = s.fleet.assigned()
	in.Gone, in.WithoutAgent = s.fleet.gone(), s.fleet.unselectable()
	in.Withheld, in.Leaving = s.withheld, s.leaving
	in.Only, in.Entries = len(s.fleet.revisions) == 1, map[string]int64{}
	for i := range s.fleet.revisions {
		in.Entries[s.fleet.revisions[i].Name] = s.fleet.revisions[i].Spec.EntryCount
	}
	return in
}

// updateStatus writes the status if it changed, and then tells people about transitions.
func (r *reconciler) updateStatus(ctx context.Context, s *scope, failure error) error {
	in := s.statusInput(failure, r.now())
	in.Fetched = r.fetched(s.m)
	next := status.Aggregate(in)
	r.observeStatus(s.m, next)
	if equality.Semantic.DeepEqual(s.m.Status, next) {
		return nil
	}
	if err := r.writeStatus(ctx, s.m, next); err != nil {
		return err
	}
	r.announce(s.m, next)
	return nil
}

// writeStatus sends the status alone.
func (r *reconciler) writeStatus(ctx context.Context, m *v1alpha1.BPFMap, next v1alpha1.BPFMapStatus) error {
	if err := process.PatchStatus(ctx, r.client, m, "add", "/status", next); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}
