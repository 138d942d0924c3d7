// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
)

// active is the value of LabelActive.
const active = "true"

// revisions are all revisions made for a BPFMap's name, also those of an earlier BPFMap of that name,
// by ascending number and without their entries. They belong to the cache: copy before changing.
func (r *reconciler) revisions(ctx context.Context, name types.NamespacedName) ([]v1alpha1.BPFMapRevision, error) {
	var list v1alpha1.BPFMapRevisionList
	err := r.client.List(ctx, &list, client.InNamespace(name.Namespace),
		client.MatchingFields{indexMapName: name.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list revisions: %w", err)
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.BPFMapRevision) int {
		return cmp.Compare(a.Number(), b.Number())
	})
	return list.Items, nil
}

// revise makes the newest of a BPFMap's own revisions say what the spec says, if it compiles, and marks
// it as active. It returns the revisions with the new one, what the spec compiled to, and why it was
// rejected, if so.
func (r *reconciler) revise(ctx context.Context, m *v1alpha1.BPFMap, own []v1alpha1.BPFMapRevision, number int64) (
	[]v1alpha1.BPFMapRevision, outcome, *status.Rejection, error,
) {
	want, rejected, err := r.wanted(ctx, m, own)
	if err != nil {
		return nil, outcome{}, nil, err
	}
	if rejected == nil && (len(own) == 0 || !sameContents(own[len(own)-1].Spec, want.spec)) {
		created, err := r.create(ctx, m, want, number)
		if err != nil {
			return nil, outcome{}, nil, err
		}
		own = append(own, *created)
	}
	if len(own) > 0 {
		if err := r.setActive(ctx, &own[len(own)-1], true); err != nil {
			return nil, outcome{}, nil, err
		}
	}
	return own, want, rejected, nil
}

// wanted is what the newest revision is to hold: what the spec and its sources compile to, or an earlier
// revision that the spec names.
func (r *reconciler) wanted(ctx context.Context, m *v1alpha1.BPFMap, own []v1alpha1.BPFMapRevision) (outcome, *status.Rejection, error) {
	if m.Spec.RollbackTo != "" {
		return r.earlier(ctx, m, own)
	}
	sources, err := r.sources(ctx, m)
	if err != nil {
		return outcome{}, nil, err
	}
	return r.compiled.compile(m, sources)
}

// earlier is the revision that spec.rollbackTo names.
func (r *reconciler) earlier(ctx context.Context, m *v1alpha1.BPFMap, own []v1alpha1.BPFMapRevision) (outcome, *status.Rejection, error) {
	i := slices.IndexFunc(own, func(rev v1alpha1.BPFMapRevision) bool { return rev.Name == m.Spec.RollbackTo })
	if i < 0 {
		names := make([]string, len(own))
		for i := range own {
			names[i] = own[i].Name
		}
		return outcome{}, &status.Rejection{
			Reason:  v1alpha1.ReasonInvalidSpec,
			Message: fmt.Sprintf("spec.rollbackTo: there is no revision %s: there are %s", m.Spec.RollbackTo, strings.Join(names, ", ")),
		}, nil
	}
	spec := own[i].Spec
	if sameContents(own[len(own)-1].Spec, spec) {
		return outcome{spec: spec}, nil, nil
	}
	// The cache has no entries.
	whole := &v1alpha1.BPFMapRevision{}
	if err := r.live.Get(ctx, client.ObjectKeyFromObject(&own[i]), whole); err != nil {
		return outcome{}, nil, fmt.Errorf("read revision %s: %w", own[i].Name, err)
	}
	return outcome{spec: spec, object: whole}, nil, nil
}

// activeOf are the revisions that nodes may hold: the newest one, and those back to the last one that
// got to all of them.
func activeOf(own []v1alpha1.BPFMapRevision) []v1alpha1.BPFMapRevision {
	first := len(own) - 1
	for first > 0 && own[first].Status.Rollout.Frontier != rollout.Everybody && own[first-1].Labels[v1alpha1.LabelActive] == active {
		first--
	}
	return slices.Clone(own[first:])
}

// create writes revision number n. Its name makes two controllers, or one with an old cache, collide
// instead of writing it twice.
func (r *reconciler) create(ctx context.Context, m *v1alpha1.BPFMap, want outcome, n int64) (*v1alpha1.BPFMapRevision, error) {
	object, chunks, err := want.objects(m, n)
	if err != nil {
		return nil, err
	}
	// The chunks are there before anybody is told of them.
	if err := r.createChunks(ctx, m, chunks); err != nil {
		return nil, err
	}
	object.Labels = map[string]string{v1alpha1.LabelActive: active}
	// Without blockOwnerDeletion, which would need rights on the owner's finalizers.
	object.OwnerReferences = ownedBy(m)
	if err := r.client.Create(ctx, object); err != nil {
		return nil, fmt.Errorf("create revision %s: %w", object.Name, err)
	}
	r.announceRevision(m, object)
	return object, nil
}

// retire deactivates the revisions that no node is to hold any more, and deletes the oldest of them
// beyond the history.
func (r *reconciler) retire(ctx context.Context, m *v1alpha1.BPFMap, own []v1alpha1.BPFMapRevision, newest *v1alpha1.BPFMapRevision) error {
	if newest.Status.Rollout.Frontier != rollout.Everybody {
		return nil // the newest one is with all nodes before older ones stop being active
	}
	old := own[:len(own)-1]
	history := r.history
	if m.Spec.RevisionHistoryLimit != nil {
		history = int(*m.Spec.RevisionHistoryLimit)
	}
	surplus := max(0, len(old)-history)
	for i := range old[surplus:] {
		if err := r.setActive(ctx, &old[surplus+i], false); err != nil {
			return err
		}
	}
	return r.deleteRevisions(ctx, old[:surplus])
}

func (r *reconciler) setActive(ctx context.Context, rev *v1alpha1.BPFMapRevision, on bool) error {
	if (rev.Labels[v1alpha1.LabelActive] == active) == on {
		return nil
	}
	value := "null"
	if on {
		value = `"` + active + `"`
	}
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%s}}}`, v1alpha1.LabelActive, value)
	target := &v1alpha1.BPFMapRevision{ObjectMeta: metav1.ObjectMeta{Namespace: rev.Namespace, Name: rev.Name}}
	if err := r.client.Patch(ctx, target, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("set label %s of revision %s to %s: %w", v1alpha1.LabelActive, rev.Name, value, err)
	}
	return nil
}

// deleteRevisions doesn't wait for the cluster's garbage collector, which may be slow or absent.
func (r *reconciler) deleteRevisions(ctx context.Context, revisions []v1alpha1.BPFMapRevision) error {
	for i := range revisions {
		rev := &revisions[i]
		err := r.client.Delete(ctx, rev, client.Preconditions{UID: &rev.UID})
		if err != nil && !stale(err) {
			return fmt.Errorf("delete revision %s: %w", rev.Name, err)
		}
	}
	return nil
}

func ownedBy(m *v1alpha1.BPFMap) []metav1.OwnerReference {
	return []metav1.OwnerReference{{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "BPFMap", Name: m.Name, UID: m.UID, Controller: new(true),
	}}
}

// partition splits revisions into those of the BPFMap with this UID and those of namesakes before it.
func partition(revisions []v1alpha1.BPFMapRevision, uid types.UID) (own, others []v1alpha1.BPFMapRevision) {
	for _, rev := range revisions {
		if rev.Spec.MapUID == string(uid) {
			own = append(own, rev)
		} else {
			others = append(others, rev)
		}
	}
	return own, others
}

// nextNumber counts over namesakes too, so that agents see one order.
func nextNumber(existing []v1alpha1.BPFMapRevision) int64 {
	if len(existing) == 0 {
		return 1
	}
	return existing[len(existing)-1].Number() + 1
}

// sameContents compares everything but the number; the digest stands for the entries.
func sameContents(have, want v1alpha1.BPFMapRevisionSpec) bool {
	have.Number, want.Number = 0, 0
	have.Entries, want.Entries = nil, nil
	have.Chunks, want.Chunks = nil, nil
	return equality.Semantic.DeepEqual(have, want)
}
