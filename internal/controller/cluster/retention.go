// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
)

// quotaRetry is when a BPFMap that its namespace has no room for is looked at again: others may have made
// room meanwhile.
const quotaRetry = time.Minute

// plan decides, before anything is written, which revisions go, and whether there is room for a new one.
func (r *reconciler) plan(ctx context.Context, s *scope) error {
	var want stored
	switch {
	case s.creates() && s.want.stored.total > r.limits.perMap:
		s.reject(tooLarge(s.want.stored.total, r.limits.perMap))
	case s.creates():
		want = s.want.stored
	}
	sizes := chunkSizes(s.chunks)
	history := r.limits.history
	if n := s.m.Spec.RevisionHistoryLimit; n != nil {
		history = int(*n)
	}
	inUse := s.inUse()
	divide := func(want stored) {
		_, s.cut = cutHistory(s.own, inUse, want, sizes, history, r.limits.perMap)
	}
	divide(want)
	if !s.creates() && !s.sees() {
		r.reserved.release(s.name)
		return nil
	}
	present, err := r.presentIn(ctx, s.name.Namespace)
	if err != nil {
		return err
	}
	full := r.reserved.reserve(s.name, revisionName(s.m, s.next), s.withSightings(want), present, s.freed(want, present), r.limits.perNamespace)
	if full != nil {
		s.reject(full)
		s.requeueAfter = quotaRetry
		divide(stored{})
	}
	return nil
}

// reject keeps the newest revision as it is.
func (s *scope) reject(why *status.Rejection) { s.want, s.refused, s.rejected = nil, s.want, why }

// inUse says which revisions may not go: the newest one, the one that spec.rollbackTo names, and while the
// newest one isn't with all nodes, those that it replaces: the last one that got to all nodes, and those that
// a node is to hold or says that it holds.
func (s *scope) inUse() func(*v1alpha1.BPFMapRevision) bool {
	used := map[string]bool{s.m.Spec.RollbackTo: true}
	if newest := s.fleet.newest(); newest != nil {
		used[newest.Name] = true
		used[s.fleet.revisions[0].Name] = true
		if newest.Status.Rollout.Frontier != rollout.All {
			_, assigned := s.fleet.assigned()
			for _, name := range assigned {
				used[name] = true
			}
			for _, m := range s.fleet.mapStates {
				if m.UID == string(s.m.UID) {
					used[m.Revision] = true
				}
			}
		}
	}
	return func(rev *v1alpha1.BPFMapRevision) bool { return used[rev.Name] }
}

// presentIn are the revisions and chunks of a namespace, with the bytes that they take. It is computed of
// metadata and of sizes that the cache keeps.
func (r *reconciler) presentIn(ctx context.Context, namespace string) (map[string]int64, error) {
	present := map[string]int64{}
	chunks := process.MetadataList(chunkKind)
	if err := r.client.List(ctx, chunks, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list chunks of namespace %s: %w", namespace, err)
	}
	for i := range chunks.Items {
		present[chunks.Items[i].Name] = chunkSize(&chunks.Items[i])
	}
	var revisions v1alpha1.BPFMapRevisionList
	if err := r.client.List(ctx, &revisions, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list revisions of namespace %s: %w", namespace, err)
	}
	for i := range revisions.Items {
		present[revisionKey(revisions.Items[i].Name)] = inlineSize(&revisions.Items[i])
	}
	return present, nil
}

// freed is how much trim makes room for before the wanted revision is written.
func (s *scope) freed(want stored, present map[string]int64) (n int64) {
	for _, revisions := range [][]v1alpha1.BPFMapRevision{s.cut, s.namesakes} {
		for i := range revisions {
			n += present[revisionKey(revisions[i].Name)]
		}
	}
	for _, c := range s.unneeded(want) {
		n += chunkSize(&c)
	}
	return n
}

// unneeded are the chunks that neither a revision that stays nor the wanted one names, those of
// namesakes, which the garbage collector is about to delete, and sightings of which the spec says nothing any more.
func (s *scope) unneeded(want stored) (list []metadata) {
	needed := map[string]bool{}
	cut := namesOf(s.cut)
	for i := range s.own {
		if !cut[s.own[i].Name] {
			for _, name := range s.own[i].Spec.Chunks {
				needed[name] = true
			}
		}
	}
	for _, c := range want.chunks {
		needed[c.name] = true
	}
	for i := range s.chunks {
		if isSighting(&s.chunks[i]) {
			needed[s.chunks[i].Name] = s.want == nil || compile.HasLifetimes(&s.m.Spec)
		}
		if !needed[s.chunks[i].Name] || !metav1.IsControlledBy(&s.chunks[i], s.m) {
			list = append(list, s.chunks[i])
		}
	}
	return list
}

// trim deletes the revisions that go, and the chunks that nothing needs.
func (r *reconciler) trim(ctx context.Context, s *scope) error {
	var want stored
	if s.want != nil {
		want = s.want.stored
	}
	chunks := s.unneeded(want)
	if len(s.cut)+len(s.namesakes)+len(chunks) == 0 {
		return nil
	}
	if err := r.confirm(ctx, s); err != nil {
		return err
	}
	if err := r.deleteRevisions(ctx, s.cut); err != nil {
		return err
	}
	// A BPFMap that was deleted and made again, or restored from a backup, takes its map over: nodes that see
	// no revision at all would remove it.
	if !s.creates() {
		if err := r.deleteRevisions(ctx, s.namesakes); err != nil {
			return err
		}
	}
	if err := r.deleteChunks(ctx, chunks); err != nil {
		return err
	}
	cut := namesOf(s.cut)
	var kept []v1alpha1.BPFMapRevision
	for i := range s.own {
		if !cut[s.own[i].Name] {
			kept = append(kept, s.own[i])
		}
	}
	s.own, s.cut = kept, nil
	s.fleet.revisions = activeOf(kept)
	return nil
}

// deleteRevisions doesn't wait for the cluster's garbage collector, which may be slow or absent. A revision
// that changed meanwhile stays: nodes may be told to hold it.
func (r *reconciler) deleteRevisions(ctx context.Context, revisions []v1alpha1.BPFMapRevision) error {
	for i := range revisions {
		rev := &revisions[i]
		err := r.client.Delete(ctx, rev, client.Preconditions{UID: &rev.UID, ResourceVersion: &rev.ResourceVersion})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete revision %s: %w", rev.Name, err)
		}
		log.FromContext(ctx).Info("Deleted a revision", "revision", rev.Name)
	}
	return nil
}
