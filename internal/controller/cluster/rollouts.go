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
)

// defaultBatch is how many nodes take a new revision at a time.
var defaultBatch = intstr.FromString("25%")

// fleet is a BPFMap's nodes and what they report.
type fleet struct {
	nodes []corev1.Node
	lines map[string]v1alpha1.NodeMap
	// revisions are the active ones, newest last.
	revisions []v1alpha1.BPFMapRevision
}

// fleet reads the nodes and their lines.
func (r *reconciler) fleet(ctx context.Context, name types.NamespacedName, active []v1alpha1.BPFMapRevision) (fleet, error) {
	f := fleet{revisions: active}
	var list corev1.NodeList
	if err := r.client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return f, fmt.Errorf("list nodes: %w", err)
	}
	f.nodes = list.Items
	var err error
	f.lines, err = r.lines(ctx, name)
	return f, err
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

// concerned are the nodes that the rollout of the newest revision moves over: those that it selects, and
// those that have the map for now.
func (f *fleet) concerned(uid types.UID) []rollout.Node {
	newest := &f.revisions[len(f.revisions)-1]
	var nodes []rollout.Node
	for i := range f.nodes {
		n := &f.nodes[i]
		wanted := selects(newest, n)
		now := rollout.Newest(f.revisions, n.Name)
		if !wanted && (now == nil || !selects(now, n)) {
			continue
		}
		nodes = append(nodes, rollout.Node{Name: n.Name, Away: !isReady(n), State: f.stateOf(n.Name, newest, wanted, uid)})
	}
	return nodes
}

func (f *fleet) stateOf(node string, newest *v1alpha1.BPFMapRevision, wanted bool, uid types.UID) rollout.State {
	line, reported := f.lines[node]
	reported = reported && line.UID == string(uid)
	switch {
	case !wanted && !reported:
		return rollout.Holding // it gave the map up
	case !wanted, !reported, line.Revision != newest.Name:
		return rollout.Waiting
	case line.State == v1alpha1.NodeMapReady:
		return rollout.Holding
	case line.State == v1alpha1.NodeMapFailed, line.State == v1alpha1.NodeMapStalled:
		return rollout.Failing
	}
	return rollout.Waiting
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

// roll takes the next step of the newest revision's rollout. It returns the revisions as they are then,
// and when to look again.
func (r *reconciler) roll(ctx context.Context, m *v1alpha1.BPFMap, f *fleet) (time.Duration, error) {
	newest := &f.revisions[len(f.revisions)-1]
	nodes := f.concerned(m.UID)
	was := newest.Status.Rollout
	status := rollout.Status{Phase: rollout.Phase(was.Phase), Frontier: was.Frontier}
	if was.ReadySince != nil {
		status.ReadySince = was.ReadySince.Time
	}
	step := rollout.Next(newest.Name, len(f.revisions) == 1, nodes, policyOf(m.Spec.Rollout, len(nodes)), status, r.now())
	next := v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutPhase(step.Phase), Frontier: step.Frontier, Message: step.Message}
	if !step.ReadySince.IsZero() {
		since := metav1.NewTime(step.ReadySince).Rfc3339Copy()
		next.ReadySince = &since
	}
	if equality.Semantic.DeepEqual(was, next) || (next.Phase == was.Phase && next.Frontier == was.Frontier && next.Frontier == rollout.Everybody) {
		return step.Again, nil
	}
	if err := r.writeRollout(ctx, newest, next); err != nil {
		return 0, err
	}
	r.announceRollout(m, newest, was, next)
	changed := newest.DeepCopy() // the cache's own stays as it is
	changed.Status.Rollout = next
	f.revisions = append(f.revisions[:len(f.revisions)-1:len(f.revisions)-1], *changed)
	return step.Again, nil
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

// policyOf is the policy for so many nodes.
func policyOf(spec *v1alpha1.Rollout, nodes int) rollout.Policy {
	p := rollout.Policy{Batch: scaled(&defaultBatch, nodes)}
	if spec == nil {
		return p
	}
	if spec.MaxUnavailable != nil {
		p.Batch = scaled(spec.MaxUnavailable, nodes)
	}
	p.Keep = scaled(spec.Partition, nodes)
	p.MinReady = time.Duration(spec.MinReadySeconds) * time.Second
	p.Paused = spec.Paused
	p.Rollback = spec.OnFailure == v1alpha1.FailureRollback
	return p
}

// scaled is a number, or a percentage of so many nodes rounded up. What the schema refuses counts as 0.
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
