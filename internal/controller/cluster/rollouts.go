// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/liveness"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
)

// defaultMaxUnavailable is how many nodes take a new revision at a time.
var defaultMaxUnavailable = intstr.FromString("25%")

// rolloutNodes are the nodes that the rollout of the newest revision moves over: those that it selects, and
// those that have the map for now.
func (f *fleet) rolloutNodes(uid types.UID) []rollout.Node {
	newest := f.newest()
	var nodes []rollout.Node
	for i := range f.nodes {
		n := &f.nodes[i]
		wanted := selects(newest, n)
		now := rollout.Newest(f.revisions, n.name)
		if !wanted && (now == nil || !selects(now, n)) {
			continue
		}
		nodes = append(nodes, rollout.Node{Name: n.name, NotReady: n.live.State != liveness.Alive, State: f.stateOf(n.name, newest, wanted, uid)})
	}
	return nodes
}

// stateOf is how a node is with the newest revision, or with giving the map up if that doesn't want it there.
func (f *fleet) stateOf(node string, newest *v1alpha1.BPFMapRevision, wanted bool, uid types.UID) rollout.State {
	m := f.mapStates[node]
	if !wanted {
		if m.UID == string(uid) {
			return rollout.Pending
		}
		return rollout.Updated
	}
	switch c := status.ClassAt(&m, uid, newest.Name); {
	case c.Failing():
		return rollout.Failed
	case c == status.ClassReady:
		return rollout.Updated
	}
	return rollout.Pending
}

// rollOut takes the next step of the newest revision's rollout.
func (r *reconciler) rollOut(ctx context.Context, s *scope) error {
	f := &s.fleet
	newest := f.newest()
	if newest == nil {
		return nil
	}
	nodes := f.rolloutNodes(s.m.UID)
	was := s.remembered(newest)
	before := rollout.Status{Phase: rollout.Phase(was.Phase), Frontier: newest.Status.Rollout.Frontier}
	if was.ReadySince != nil {
		before.ReadySince = was.ReadySince.Time
	}
	step := rollout.Next(newest.Name, len(f.revisions) == 1, nodes, policyOf(s.m.Spec.Rollout, len(nodes)), before, r.now())
	if after := step.RequeueAfter; after > 0 && (s.requeueAfter == 0 || after < s.requeueAfter) {
		s.requeueAfter = after
	}
	s.rollout = &v1alpha1.RolloutStatus{Revision: newest.Name, Phase: v1alpha1.RolloutPhase(step.Phase), Message: step.Message}
	if !step.ReadySince.IsZero() {
		since := metav1.NewTime(step.ReadySince).Rfc3339Copy()
		s.rollout.ReadySince = &since
	}
	if step.Frontier != newest.Status.Rollout.Frontier {
		now := metav1.NewTime(r.now()).Rfc3339Copy()
		next := v1alpha1.RevisionRollout{Frontier: step.Frontier, FrontierTime: &now}
		if step.Phase == rollout.RolledBack {
			next.RolledBack = step.Message
		}
		if err := r.writeRollout(ctx, newest, next); err != nil {
			return err
		}
		changed := newest.DeepCopy() // the cache's own stays as it is
		changed.Status.Rollout = next
		f.revisions = append(f.revisions[:len(f.revisions)-1:len(f.revisions)-1], *changed)
	}
	r.announceRollout(s.m, newest, was, *s.rollout)
	return nil
}

// remembered is what the status tells of the rollout of a revision.
func (s *scope) remembered(rev *v1alpha1.BPFMapRevision) v1alpha1.RolloutStatus {
	var was v1alpha1.RolloutStatus
	if told := s.m.Status.Rollout; told != nil && told.Revision == rev.Name {
		was = *told
	}
	switch {
	case rev.Status.Rollout.RolledBack != "":
		was.Phase = v1alpha1.RolloutPhase(rollout.RolledBack)
	case rev.Status.Rollout.Frontier == rollout.All:
		was.Phase = v1alpha1.RolloutPhase(rollout.Complete)
	}
	return was
}

func (r *reconciler) writeRollout(ctx context.Context, rev *v1alpha1.BPFMapRevision, next v1alpha1.RevisionRollout) error {
	patch, err := json.Marshal([]map[string]any{
		{"op": "replace", "path": "/metadata/resourceVersion", "value": rev.ResourceVersion},
		{"op": "add", "path": "/status", "value": v1alpha1.BPFMapRevisionStatus{Rollout: next}},
	})
	if err != nil {
		return fmt.Errorf("encode rollout: %w", err)
	}
	target := &v1alpha1.BPFMapRevision{ObjectMeta: metav1.ObjectMeta{Namespace: rev.Namespace, Name: rev.Name}}
	if err := r.client.Status().Patch(ctx, target, client.RawPatch(types.JSONPatchType, patch)); err != nil {
		return fmt.Errorf("write rollout of %s: %w", rev.Name, err)
	}
	return nil
}

// policyOf is the policy for a number of nodes.
func policyOf(spec *v1alpha1.Rollout, nodes int) rollout.Policy {
	p := rollout.Policy{MaxUnavailable: scaled(&defaultMaxUnavailable, nodes)}
	if spec == nil {
		return p
	}
	if spec.MaxUnavailable != nil {
		p.MaxUnavailable = scaled(spec.MaxUnavailable, nodes)
	}
	p.Partition = scaled(spec.Partition, nodes)
	if spec.MinReadySeconds != nil {
		p.MinReady = time.Duration(*spec.MinReadySeconds) * time.Second
	}
	p.Paused = spec.Paused
	p.Rollback = spec.OnFailure == v1alpha1.FailureRollback
	return p
}

// scaled is a number, or a percentage of nodes rounded up. What the schema refuses counts as 0.
func scaled(n *intstr.IntOrString, nodes int) int {
	if n == nil {
		return 0
	}
	count, err := intstr.GetScaledValueFromIntOrPercent(n, nodes, true)
	if err != nil {
		return 0
	}
	return count
}
