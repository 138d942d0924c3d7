// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/liveness"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// The defaults of spec.rollout.
var (
	// A quarter of the nodes at a time is wrong on a quarter of them at most.
	defaultMaxUnavailable = intstr.FromString("25%")
	// In clusters of fewer than 20 nodes none may fail.
	defaultMaxFailed = intstr.FromString("5%")
)

const (
	// What goes wrong at once shows in defaultMinReady. A node that is cut off by what it took doesn't report on it (its
	// agent waits for an answer of the API server first), so the next ones don't follow anyway.
	defaultMinReady = 10 * time.Second
	// An agent reports in a second or two, and large maps take a minute.
	defaultProgressDeadline = 10 * time.Minute
)

// maxRolloutMessage is the bound of the messages in RolloutStatus and RevisionRollout in bytes.
const maxRolloutMessage = 1024

// rolloutNodes are the nodes that the rollout of the newest revision moves over: those that are to have the map by
// it, and those that are to give the map up for it.
func (f *fleet) rolloutNodes(uid types.UID) []rollout.Node {
	newest := f.newest()
	nodes := make([]rollout.Node, 0, len(f.nodes))
	for i := range f.nodes {
		n := &f.nodes[i]
		m := f.mapStates[n.name]
		wanted := selects(newest, n)
		if !wanted && !f.leavesFor(newest, n, &m, uid) {
			continue
		}
		nodes = append(nodes, f.rolloutNode(n, &m, wanted, uid))
	}
	return nodes
}

// leavesFor says whether a node that a revision doesn't select is to give the map up because of it. One whose labels
// changed while it held that revision is not: it gives the map up when it is released.
func (f *fleet) leavesFor(newest *v1alpha1.BPFMapRevision, n *fleetNode, m *v1alpha1.NodeMap, uid types.UID) bool {
	if m.UID == string(uid) {
		return m.Revision != newest.Name
	}
	now := rollout.Newest(f.revisions, n.name)
	return now != nil && selects(now, n)
}

func (f *fleet) rolloutNode(n *fleetNode, m *v1alpha1.NodeMap, wanted bool, uid types.UID) rollout.Node {
	node := rollout.Node{Name: n.name, Joined: n.created, Since: n.ready}
	node.State, node.Cause = rolloutState(m, f.newest(), wanted, uid)
	if n.live.State != liveness.Alive {
		node.Away, node.Since = true, n.live.Since
		if node.State != rollout.Failed {
			node.Cause = n.live.Message
		}
		if !wanted && node.State == rollout.Updated { // it has no map, and need not have had one
			node.State = rollout.Pending
		}
	}
	return node
}

// rolloutState is how a node is with the newest revision, or with giving the map up if that doesn't want it there, and in
// a few words why it failed.
func rolloutState(m *v1alpha1.NodeMap, newest *v1alpha1.BPFMapRevision, wanted bool, uid types.UID) (state rollout.State, cause string) {
	if !wanted {
		if m.UID == string(uid) {
			return rollout.Pending, ""
		}
		return rollout.Updated, ""
	}
	switch c := status.ClassAt(m, uid, newest.Name); {
	case c.Failing():
		cause = m.Reason
		if m.Message != "" {
			cause += ": " + m.Message
		}
		return rollout.Failed, cause
	case c == status.ClassReady:
		return rollout.Updated, ""
	}
	return rollout.Pending, ""
}

// rollOut takes the next step of the newest revision's rollout. What nodes have to know of it is written to the
// revision, the rest goes into the BPFMap's status.
func (r *reconciler) rollOut(ctx context.Context, s *scope) error {
	f := &s.fleet
	newest := f.newest()
	if newest == nil {
		return nil
	}
	nodes := f.rolloutNodes(s.m.UID)
	policy := policyOf(s.m.Spec.Rollout, len(nodes))
	policy.Rollback = policy.Rollback && len(f.revisions) > 1
	was := s.remembered(newest)
	partners, waits, err := r.partners(ctx, s, len(nodes))
	if err != nil {
		return err
	}
	first, before := f.isFirst(s.m.UID), statusOf(was, newest)
	var step rollout.Step
	if waits != "" && !first && before.Frontier() == rollout.None && before.RolledBack == "" {
		step = rollout.Hold(before, waits)
	} else {
		step = rollout.NextTogether(rollout.OrderOf(newest), first, nodes, policy, before, r.now(), partners)
	}
	s.lookAgainIn(step.RequeueAfter)
	s.rollout = rolloutStatus(newest, &step)
	if step.Moved {
		next := newest.Status
		next.Rollout = revisionRollout(&step)
		next.Metrics = s.metricsFor(newest)
		if err := r.writeRevisionStatus(ctx, newest, next); err != nil {
			return fmt.Errorf("write rollout of %s: %w", newest.Name, err)
		}
		did := "Rollout goes on"
		if newest.Status.Rollout.Frontier == "" {
			did = "Rollout begins"
		}
		log.FromContext(ctx).Info(did, "revision", newest.Name, "frontier", next.Rollout.Frontier, "nodes", len(nodes), "phase", step.Phase)
		changed := newest.DeepCopy() // the cache's own stays as it is
		changed.Status = next
		f.revisions = append(f.revisions[:len(f.revisions)-1:len(f.revisions)-1], *changed)
	}
	r.announceRollout(s.m, newest, was, *s.rollout)
	return nil
}

// isFirst says whether there is only one revision, and no node has an earlier one.
func (f *fleet) isFirst(uid types.UID) bool {
	if len(f.revisions) > 1 {
		return false
	}
	for _, m := range f.mapStates {
		if m.UID == string(uid) && m.Revision != f.newest().Name {
			return false
		}
	}
	return true
}

func (s *scope) lookAgainIn(d time.Duration) {
	if d > 0 && (s.requeueAfter == 0 || d < s.requeueAfter) {
		s.requeueAfter = d
	}
}

// rolloutStatus is what a step comes to in the BPFMap's status. A single batch is known from the revision.
func rolloutStatus(rev *v1alpha1.BPFMapRevision, step *rollout.Step) *v1alpha1.RolloutStatus {
	next := &v1alpha1.RolloutStatus{
		Revision: rev.Name, Phase: v1alpha1.RolloutPhase(step.Phase), Reason: string(step.Reason),
		Message: text.Truncate(step.Message, maxRolloutMessage),
	}
	if !step.ReadySince.IsZero() {
		since := metav1.NewTime(step.ReadySince.Add(time.Second - 1)).Rfc3339Copy() // not earlier than it was
		next.ReadySince = &since
	}
	if len(step.Batches) > 1 {
		for _, b := range step.Batches {
			next.Batches = append(next.Batches, v1alpha1.RolloutBatch{Frontier: b.Frontier, Time: metav1.NewTime(b.Time).Rfc3339Copy()})
		}
	}
	return next
}

// revisionRollout is what a step comes to in the revision's status.
func revisionRollout(step *rollout.Step) v1alpha1.RevisionRollout {
	last := step.Batches[len(step.Batches)-1]
	at := metav1.NewTime(last.Time).Rfc3339Copy()
	return v1alpha1.RevisionRollout{Frontier: last.Frontier, FrontierTime: &at, RolledBack: text.Truncate(step.RolledBack, maxRolloutMessage)}
}

// remembered is what the BPFMap's status tells of the rollout of a revision. Where that is lost, as after a restore,
// the revision's own status is enough to go on.
func (s *scope) remembered(rev *v1alpha1.BPFMapRevision) v1alpha1.RolloutStatus {
	was := v1alpha1.RolloutStatus{Revision: rev.Name}
	if told := s.m.Status.Rollout; told != nil && told.Revision == rev.Name {
		was = *told
	}
	if why := rev.Status.Rollout.RolledBack; why != "" {
		was.Phase, was.Message = v1alpha1.RolloutPhase(rollout.RolledBack), why
	}
	return was
}

// statusOf is what the planner is to know of the step before.
func statusOf(was v1alpha1.RolloutStatus, rev *v1alpha1.BPFMapRevision) rollout.Status {
	own := rev.Status.Rollout
	s := rollout.Status{Phase: rollout.Phase(was.Phase), RolledBack: own.RolledBack}
	if was.ReadySince != nil {
		s.ReadySince = was.ReadySince.Time
	}
	batches := make([]rollout.Batch, len(was.Batches))
	for i, b := range was.Batches {
		batches[i] = rollout.Batch{Frontier: b.Frontier, Time: b.Time.Time}
	}
	var at time.Time
	if own.FrontierTime != nil {
		at = own.FrontierTime.Time
	}
	s.Batches = rollout.Recall(batches, own.Frontier, at)
	return s
}

// writeRevisionStatus writes what nodes watch.
func (r *reconciler) writeRevisionStatus(ctx context.Context, rev *v1alpha1.BPFMapRevision, next v1alpha1.BPFMapRevisionStatus) error {
	return process.PatchStatus(ctx, r.client, rev, "add", "/status", next)
}

// policyOf is the policy for a number of nodes.
func policyOf(spec *v1alpha1.Rollout, nodes int) rollout.Policy {
	if spec == nil {
		spec = &v1alpha1.Rollout{}
	}
	return rollout.Policy{
		MaxUnavailable: scaled(or(spec.MaxUnavailable, &defaultMaxUnavailable), nodes, true),
		Partition:      scaled(or(spec.Partition, new(intstr.FromInt32(0))), nodes, true),
		MaxFailed:      scaled(or(spec.MaxFailed, &defaultMaxFailed), nodes, false),
		MinReady:       seconds(spec.MinReadySeconds, defaultMinReady),
		Deadline:       seconds(spec.ProgressDeadlineSeconds, defaultProgressDeadline),
		Paused:         spec.Paused,
		Rollback:       spec.OnFailure == v1alpha1.FailureRollback,
	}
}

func or[T any](given, fallback *T) *T {
	if given == nil {
		return fallback
	}
	return given
}

func seconds(given *int32, fallback time.Duration) time.Duration {
	if given == nil {
		return fallback
	}
	return time.Duration(*given) * time.Second
}

// scaled is a number, or a percentage of nodes. What the schema refuses counts as 0.
func scaled(n *intstr.IntOrString, nodes int, roundUp bool) int {
	count, err := intstr.GetScaledValueFromIntOrPercent(n, nodes, roundUp)
	if err != nil {
		return 0
	}
	return count
}
