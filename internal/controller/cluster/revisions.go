// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
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
		return cmp.Compare(a.Spec.Revision, b.Spec.Revision)
	})
	return list.Items, nil
}

// reviseAndCollect makes the newest revision say what the spec says, if it compiles; takes the label
// off older ones; and deletes what is beyond the history. It returns the newest revision of m (nil if
// there has never been one) and why the spec was rejected, if so.
func (r *reconciler) reviseAndCollect(ctx context.Context, m *v1alpha1.BPFMap, existing []v1alpha1.BPFMapRevision) (
	*v1alpha1.BPFMapRevision, *status.Rejection, error,
) {
	own, others := partition(existing, m.UID)
	var newest *v1alpha1.BPFMapRevision
	if len(own) > 0 {
		newest = &own[len(own)-1]
		own = own[:len(own)-1]
	}
	sources, err := r.sources(ctx, m)
	if err != nil {
		return nil, nil, err
	}
	want, rejected, err := r.compiled.compile(m, sources)
	if err != nil {
		return nil, nil, err
	}
	if rejected == nil && (newest == nil || !sameContents(newest.Spec, want.spec)) {
		created, err := r.create(ctx, m, want, nextNumber(existing))
		if err != nil {
			return nil, nil, err
		}
		if newest != nil {
			own = append(own, *newest)
		}
		newest = created
	}
	if newest != nil {
		if err := r.setActive(ctx, newest, true); err != nil {
			return nil, nil, err
		}
	}
	// The newest one is active before older ones stop being so: agents always see at least one.
	if err := r.retire(ctx, own); err != nil {
		return nil, nil, err
	}
	if err := r.keepChunks(ctx, m, newest, own, want); err != nil {
		return nil, nil, err
	}
	return newest, rejected, r.deleteRevisions(ctx, others)
}

// create writes revision number n. Its name makes two controllers, or one with an old cache, collide
// instead of writing it twice.
func (r *reconciler) create(ctx context.Context, m *v1alpha1.BPFMap, want outcome, n int64) (*v1alpha1.BPFMapRevision, error) {
	rev, err := want.revision(m)
	if err != nil {
		return nil, fmt.Errorf("compile again: %w", err)
	}
	rev.Name, rev.Number = fmt.Sprintf("%s-%d", m.Name, n), n
	object, chunks, err := revision.ToObjects(rev)
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

// retire deactivates old revisions and deletes the oldest of them beyond the history.
func (r *reconciler) retire(ctx context.Context, old []v1alpha1.BPFMapRevision) error {
	surplus := max(0, len(old)-r.history)
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
	return existing[len(existing)-1].Spec.Revision + 1
}

// sameContents compares everything but the number; the digest stands for the entries.
func sameContents(have, want v1alpha1.BPFMapRevisionSpec) bool {
	have.Revision, want.Revision = 0, 0
	have.Entries, want.Entries = nil, nil
	have.Chunks, want.Chunks = nil, nil
	return equality.Semantic.DeepEqual(have, want)
}
