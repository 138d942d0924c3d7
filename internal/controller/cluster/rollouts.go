// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
)

// defaultMaxUnavailable is how many nodes take a new revision at a time.
var defaultMaxUnavailable = intstr.FromString("25%")

// fleet is a BPFMap's nodes and what they report.
type fleet struct {
	nodes []corev1.Node
	// mapStates are what the nodes report, by the node's name.
	mapStates map[string]v1alpha1.NodeMap
	// revisions are the active ones, newest last.
	revisions []v1alpha1.BPFMapRevision
}

// newest is the newest revision; nil before the first one.
func (f *fleet) newest() *v1alpha1.BPFMapRevision {
	if len(f.revisions) == 0 {
		return nil
	}
	return &f.revisions[len(f.revisions)-1]
}

func selects(rev *v1alpha1.BPFMapRevision, n *corev1.Node) bool {
	return labels.SelectorFromSet(rev.Spec.NodeSelector).Matches(labels.Set(n.Labels))
}

// assigned are the nodes that are to have the map, with the name of the revision that each is to hold.
func (f *fleet) assigned() (nodes []string, revisions map[string]string) {
	revisions = map[string]string{}
	for i := range f.nodes {
		n := &f.nodes[i]
		if rev := rollout.Newest(f.revisions, n.Name); rev != nil && selects(rev, n) {
			nodes = append(nodes, n.Name)
			revisions[n.Name] = rev.Name
		}
	}
	return nodes, revisions
}

// rolloutNodes are the nodes that the rollout of the newest revision moves over: those that it selects, and
// those that have the map for now.
func (f *fleet) rolloutNodes(uid types.UID) []rollout.Node {
	newest := f.newest()
	var nodes []rollout.Node
	for i := range f.nodes {
		n := &f.nodes[i]
		wanted := selects(newest, n)
		now := rollout.Newest(f.revisions, n.Name)
		if !wanted && (now == nil || !selects(now, n)) {
			continue
		}
		nodes = append(nodes, rollout.Node{Name: n.Name, NotReady: !isReady(n), State: f.stateOf(n.Name, newest, wanted, uid)})
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

// isReady says whether the node's kubelet is there. A node without the condition, as tests and other
// kubelets make them, counts as ready.
func isReady(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return true
}

// rollOut takes the next step of the newest revision's rollout.
func (r *reconciler) rollOut(ctx context.Context, s *scope) error {
	f := &s.fleet
	newest := f.newest()
	if newest == nil {
		return nil
	}
	nodes := f.rolloutNodes(s.m.UID)
	was := newest.Status.Rollout
	before := rollout.Status{Phase: rollout.Phase(was.Phase), Frontier: was.Frontier}
	if was.ReadySince != nil {
		before.ReadySince = was.ReadySince.Time
	}
	step := rollout.Next(newest.Name, len(f.revisions) == 1, nodes, policyOf(s.m.Spec.Rollout, len(nodes)), before, r.now())
	if after := step.RequeueAfter; after > 0 && (s.requeueAfter == 0 || after < s.requeueAfter) {
		s.requeueAfter = after
	}
	next := v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutPhase(step.Phase), Frontier: step.Frontier, Message: step.Message}
	if !step.ReadySince.IsZero() {
		since := metav1.NewTime(step.ReadySince).Rfc3339Copy()
		next.ReadySince = &since
	}
	if equality.Semantic.DeepEqual(was, next) || (next.Phase == was.Phase && next.Frontier == was.Frontier && next.Frontier == rollout.All) {
		return nil
	}
	if err := r.writeRollout(ctx, newest, next); err != nil {
		return err
	}
	r.announceRollout(s.m, newest, was, next)
	changed := newest.DeepCopy() // the cache's own stays as it is
	changed.Status.Rollout = next
	f.revisions = append(f.revisions[:len(f.revisions)-1:len(f.revisions)-1], *changed)
	return nil
}

func (r *reconciler) writeRollout(ctx context.Context, rev *v1alpha1.BPFMapRevision, next v1alpha1.RolloutStatus) error {
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
	p.MinReady = time.Duration(spec.MinReadySeconds) * time.Second
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
