// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/liveness"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// indexReleases finds node states by the "namespace/name" of the maps that they are released from.
const indexReleases = "status.releases"

func releasesOf(o client.Object) (names []string) {
	for _, rel := range o.(*v1alpha1.BPFNodeState).Status.Releases {
		names = append(names, types.NamespacedName{Namespace: rel.Namespace, Name: rel.Name}.String())
	}
	return names
}

// release lets nodes whose labels the revision that they hold doesn't select any more give the map up: few at a time,
// as a new revision reaches them, and not the last one without consent.
func (r *reconciler) release(ctx context.Context, s *scope) error {
	if s.fleet.newest() == nil {
		return nil
	}
	states, err := r.releasedFrom(ctx, s.name)
	if err != nil {
		return err
	}
	leavers := s.fleet.leavers(s.name, s.m.UID, states)
	if len(leavers) == 0 {
		return nil
	}
	nodes, _ := s.fleet.assigned()
	policy := policyOf(s.m.Spec.Rollout, len(nodes)+len(leavers))
	step := rollout.Releases(rollout.OrderOf(s.fleet.newest()), leavers, len(nodes), s.m.Spec.AllowNoNodes, policy, r.now())
	switch {
	case step.Withheld:
		s.withheld = step.Message
	case step.Message != "":
		s.leaving = step.Message
		s.rollout.Message = text.Truncate(s.rollout.Message+"; "+step.Message, maxRolloutMessage)
	}
	s.lookAgainIn(step.RequeueAfter)
	for _, node := range step.Forget {
		if err := r.forgetRelease(ctx, states[node], s.name); err != nil {
			return err
		}
	}
	for _, node := range step.Release {
		if err := r.releaseNode(ctx, s, node); err != nil {
			return err
		}
	}
	return nil
}

// releasedFrom are the node states that name the map among those that the node may remove.
func (r *reconciler) releasedFrom(ctx context.Context, name types.NamespacedName) (map[string]*v1alpha1.BPFNodeState, error) {
	var list v1alpha1.BPFNodeStateList
	err := r.client.List(ctx, &list, client.MatchingFields{indexReleases: name.String()}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list node states with releases: %w", err)
	}
	states := make(map[string]*v1alpha1.BPFNodeState, len(list.Items))
	for i := range list.Items {
		states[list.Items[i].Name] = &list.Items[i]
	}
	return states, nil
}

func isOf(name types.NamespacedName) func(v1alpha1.MapRelease) bool {
	return func(rel v1alpha1.MapRelease) bool { return rel.Namespace == name.Namespace && rel.Name == name.Name }
}

// leavers are the nodes that hold a revision which doesn't select them any more, and those that were released.
func (f *fleet) leavers(name types.NamespacedName, uid types.UID, released map[string]*v1alpha1.BPFNodeState) []rollout.Leaver {
	var leavers []rollout.Leaver
	for i := range f.nodes {
		n := &f.nodes[i]
		m := f.mapStates[n.name]
		holds := m.UID == string(uid)
		var since time.Time
		var from string
		if state := released[n.name]; state != nil {
			rel := state.Status.Releases[slices.IndexFunc(state.Status.Releases, isOf(name))]
			if rel.UID != "" && rel.UID != string(uid) { // of an earlier BPFMap of this name
				leavers = append(leavers, rollout.Leaver{Name: n.name, Released: rel.Time.Time, Selected: true})
				continue
			}
			since, from = rel.Time.Time, rel.Revision
		}
		if from == "" && !holds {
			continue
		}
		rev := rollout.Newest(f.revisions, n.name)
		// What the newest revision selects again takes that one when it gets there.
		leaves := rev != nil && !selects(rev, n) && !selects(f.newest(), n) && (!holds || rev.Name == m.Revision)
		if from == "" && !leaves {
			continue
		}
		l := rollout.Leaver{Name: n.name, Released: since, Holds: holds, Selected: !leaves || (from != "" && from != rev.Name), Cause: n.live.Message}
		if n.live.State != liveness.Alive {
			l.Away, l.Since = true, n.live.Since
		}
		leavers = append(leavers, l)
	}
	return leavers
}

// releaseNode tells a node's agent that it may remove the map.
func (r *reconciler) releaseNode(ctx context.Context, s *scope, node string) error {
	state := &v1alpha1.BPFNodeState{}
	if err := r.client.Get(ctx, client.ObjectKey{Name: node}, state); err != nil {
		return fmt.Errorf("get state of node %s: %w", node, err)
	}
	next := slices.DeleteFunc(slices.Clone(state.Status.Releases), isOf(s.name))
	next = append(next, v1alpha1.MapRelease{
		Namespace: s.name.Namespace, Name: s.name.Name, UID: string(s.m.UID), Revision: s.fleet.mapStates[node].Revision, Time: metav1.NewTime(r.now()).Rfc3339Copy(),
	})
	return r.writeReleases(ctx, state, next)
}

// forgetReleases takes a BPFMap that is gone out of all node states.
func (r *reconciler) forgetReleases(ctx context.Context, name types.NamespacedName) error {
	states, err := r.releasedFrom(ctx, name)
	if err != nil {
		return err
	}
	for _, state := range states {
		if err := r.forgetRelease(ctx, state, name); err != nil {
			return err
		}
	}
	return nil
}

func (r *reconciler) forgetRelease(ctx context.Context, state *v1alpha1.BPFNodeState, name types.NamespacedName) error {
	return r.writeReleases(ctx, state, slices.DeleteFunc(slices.Clone(state.Status.Releases), isOf(name)))
}

// writeReleases writes nothing else of a node's state, and only if that is as the cache shows it.
func (r *reconciler) writeReleases(ctx context.Context, state *v1alpha1.BPFNodeState, next []v1alpha1.MapRelease) error {
	op := "add"
	if len(next) == 0 {
		op = "remove"
	}
	if err := process.PatchStatus(ctx, r.client, state, op, "/status/releases", next); err != nil {
		return fmt.Errorf("write releases of node %s: %w", state.Name, err)
	}
	return nil
}
