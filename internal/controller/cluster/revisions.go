// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
)

// active is the value of LabelActive.
const active = "true"

// revisions are all revisions made for a BPFMap's name, also those of an earlier BPFMap of that name,
// by ascending number and without their entries.
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

// partition splits revisions into those of the BPFMap with this UID and those of namesakes before it.
func partition(revisions []v1alpha1.BPFMapRevision, uid types.UID) (own, namesakes []v1alpha1.BPFMapRevision) {
	for _, rev := range revisions {
		if rev.Spec.MapUID == string(uid) {
			own = append(own, rev)
		} else {
			namesakes = append(namesakes, rev)
		}
	}
	return own, namesakes
}

// activeOf are the revisions that nodes may hold: the newest one, and until that is complete those before, back
// to the last one that all nodes were told to take. A rollback leads there.
func activeOf(own []v1alpha1.BPFMapRevision) []v1alpha1.BPFMapRevision {
	if len(own) == 0 {
		return nil
	}
	first := len(own) - 1
	for first > 0 && own[first-1].Labels[v1alpha1.LabelActive] == active {
		first--
		if own[first].Status.Rollout.Frontier == rollout.All {
			break
		}
	}
	return slices.Clone(own[first:])
}

// nextNumber is the number after those of all revisions.
func nextNumber(existing []v1alpha1.BPFMapRevision) int64 {
	if len(existing) == 0 {
		return 1
	}
	return existing[len(existing)-1].Number() + 1
}

// creates says that a new revision is to be written.
func (s *scope) creates() bool {
	return s.want != nil && (len(s.own) == 0 || identify(s.own[len(s.own)-1].Spec) != s.want.identity)
}

// compile finds out what the newest revision is to be: what the spec and its sources compile to, or an
// earlier revision that the spec names.
func (r *reconciler) compile(ctx context.Context, s *scope) error {
	if err := r.want(ctx, s); err != nil {
		return err
	}
	var want compiled
	var err error
	if s.m.Spec.RollbackTo != "" {
		want, s.rejected, err = r.earlier(ctx, s)
	} else {
		sources, readErr := compile.Gather(&s.m.Spec, objects{r, ctx, s.m.Namespace, r.client})
		if readErr != nil {
			return readErr
		}
		s.sources = stateOf(sources)
		if err := r.missSightings(ctx, s); err != nil {
			return err
		}
		want, s.rejected, err = r.compiled.compile(s.m, sources, r.inUse(ctx, s), r.seenBy(ctx, s), r.now)
		s.reports = want.reports
		if !want.next.IsZero() {
			s.lookAgainIn(max(time.Millisecond, want.next.Sub(r.now())))
		}
	}
	var pending *compile.PendingError
	if errors.As(err, &pending) {
		s.pending, s.held = err.Error(), err.Error()
		return nil
	}
	if err == nil && s.rejected == nil {
		s.want = &want
		s.logCompiled(ctx)
	}
	return err
}

// logCompiled logs what was compiled just now. That nothing new came of it, as of everything that a controller compiles
// when it starts, is for those who debug.
func (s *scope) logCompiled(ctx context.Context) {
	if s.want.fresh == nil {
		return
	}
	l := log.FromContext(ctx)
	if !s.creates() {
		l = l.V(1)
	}
	l.Info("Compiled the spec", "generation", s.m.Generation, "entries", s.want.fresh.Contents.Len, "took", s.want.took.Round(time.Microsecond).String())
}

// earlier is the revision that spec.rollbackTo names.
func (r *reconciler) earlier(ctx context.Context, s *scope) (compiled, *status.Rejection, error) {
	i := slices.IndexFunc(s.own, func(rev v1alpha1.BPFMapRevision) bool { return rev.Name == s.m.Spec.RollbackTo })
	if i < 0 {
		names := make([]string, len(s.own))
		for i := range s.own {
			names[i] = s.own[i].Name
		}
		return compiled{}, &status.Rejection{
			Reason:  v1alpha1.ReasonInvalidSpec,
			Message: fmt.Sprintf("spec.rollbackTo: revision %s does not exist: must be one of %s", s.m.Spec.RollbackTo, strings.Join(names, ", ")),
		}, nil
	}
	rev := &s.own[i]
	want := compiled{identity: identifyAlone(rev.Spec), layout: revision.Layout(&rev.Spec), digest: rev.Spec.Digest, stored: storedIn(rev, chunkSizes(s.chunks))}
	if identifyAlone(s.own[len(s.own)-1].Spec) == want.identity {
		return want, nil, nil
	}
	return want, nil, r.readEarlier(ctx, &want, client.ObjectKeyFromObject(rev))
}

// readEarlier reads the revision to go back to: the cache has no entries.
func (r *reconciler) readEarlier(ctx context.Context, want *compiled, name types.NamespacedName) error {
	if want.earlier != nil {
		return nil
	}
	earlier := &v1alpha1.BPFMapRevision{}
	if err := r.live.Get(ctx, name, earlier); err != nil {
		return fmt.Errorf("read revision %s: %w", name.Name, err)
	}
	want.earlier = earlier
	return nil
}

// revise makes the newest revision what the spec asks for, if it is accepted, with all its chunks, and marks
// it as active.
func (r *reconciler) revise(ctx context.Context, s *scope) error {
	// They are stored before the revision: no entry lives longer because this process dies in between.
	before := s.rejected // what was refused already may need its chunks again
	if err := r.storeSightings(ctx, s); err != nil || s.rejected != before {
		return err
	}
	if s.creates() {
		if err := r.create(ctx, s); err != nil || s.rejected != nil {
			return err
		}
	} else if err := r.restoreChunks(ctx, s); err != nil {
		return err
	}
	if len(s.own) > 0 {
		if err := r.activate(ctx, s); err != nil {
			return err
		}
	}
	s.revised = true
	return nil
}

// activate lets agents see the newest revision.
func (r *reconciler) activate(ctx context.Context, s *scope) error {
	newest := &s.own[len(s.own)-1]
	patched, err := r.setActive(ctx, newest, true)
	if err != nil || patched == nil {
		return err
	}
	changed := newest.DeepCopy() // the cache's own stays as it is
	changed.Labels, changed.ResourceVersion = patched.Labels, patched.ResourceVersion
	s.own = append(slices.Clone(s.own[:len(s.own)-1]), *changed)
	s.fleet.revisions = activeOf(s.own)
	return nil
}

// create writes the next revision. Its name makes two controllers, or one with an old cache, collide
// instead of writing it twice.
func (r *reconciler) create(ctx context.Context, s *scope) error {
	if err := r.confirm(ctx, s); err != nil {
		return err
	}
	if err := r.confirmSources(ctx, s); err != nil {
		return err
	}
	object, parts, err := s.want.objects(s.m, s.next, r.seenBy(ctx, s))
	if err != nil {
		return err
	}
	// The chunks are there before anybody is told of them.
	if err := r.createChunks(ctx, s, parts); err != nil || s.rejected != nil {
		return err
	}
	object.Labels = map[string]string{v1alpha1.LabelMap: v1alpha1.MapLabel(s.m.Name)}
	object.OwnerReferences = ownedBy(s.m)
	err = r.client.Create(ctx, object)
	if apierrors.IsAlreadyExists(err) {
		s.rejected, err = r.whoseRevision(ctx, s, object.Name)
		return err
	}
	if err != nil {
		return fmt.Errorf("create revision %s: %w", object.Name, err)
	}
	r.announceRevision(s.m, object)
	s.own = append(slices.Clip(s.own), *object)
	s.fleet.revisions = activeOf(s.own)
	return nil
}

// whoseRevision explains why a revision can't be created: one of that name exists. If it was made for this
// BPFMap, the cache doesn't show it yet.
func (r *reconciler) whoseRevision(ctx context.Context, s *scope, name string) (*status.Rejection, error) {
	var there v1alpha1.BPFMapRevision
	if err := r.live.Get(ctx, types.NamespacedName{Namespace: s.name.Namespace, Name: name}, &there); err != nil {
		return nil, fmt.Errorf("read revision %s, which exists already: %w", name, err)
	}
	if there.Spec.MapName == s.name.Name {
		return nil, staleCache("revision %s exists already", name)
	}
	return &status.Rejection{Reason: v1alpha1.ReasonNameConflict, Message: fmt.Sprintf(
		"the next revision can't be named %s: there is a BPFMapRevision of that name, which belongs to BPFMap %q: delete that revision, or rename this BPFMap",
		name, there.Spec.MapName)}, nil
}

// retire marks the revisions that no node is to hold any more, or to go back to, as history.
func (r *reconciler) retire(ctx context.Context, s *scope) error {
	if s.rollout == nil || s.rollout.Phase != v1alpha1.RolloutPhase(rollout.Complete) {
		return nil
	}
	cut := namesOf(s.cut)
	for i := range s.own[:len(s.own)-1] {
		if rev := &s.own[i]; !cut[rev.Name] {
			if _, err := r.setActive(ctx, rev, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// setActive marks a revision as active or as history, if it isn't marked so, and returns what that made of it; nil
// if it was so. It puts the label on it that those of older controllers lack. It is refused if the revision
// isn't as the cache shows it.
//
// Each agent gets the whole object at each change, so managedFields, which nobody reads, go before it gets to them: a
// single empty entry asks the API server for that, which takes it only beside what isn't a status.
func (r *reconciler) setActive(ctx context.Context, rev *v1alpha1.BPFMapRevision, on bool) (*v1alpha1.BPFMapRevision, error) {
	label := v1alpha1.MapLabel(rev.Spec.MapName)
	if (rev.Labels[v1alpha1.LabelActive] == active) == on && rev.Labels[v1alpha1.LabelMap] == label {
		return nil, nil
	}
	want := map[string]any{v1alpha1.LabelActive: nil, v1alpha1.LabelMap: label}
	about := map[string]any{"uid": rev.UID, "resourceVersion": rev.ResourceVersion, "labels": want}
	if on {
		want[v1alpha1.LabelActive] = active
		about["managedFields"] = []map[string]any{{}}
	}
	patch, err := json.Marshal(map[string]any{"metadata": about})
	if err != nil {
		return nil, fmt.Errorf("encode labels: %w", err)
	}
	target := &v1alpha1.BPFMapRevision{ObjectMeta: metav1.ObjectMeta{Namespace: rev.Namespace, Name: rev.Name}}
	if err := r.client.Patch(ctx, target, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return nil, fmt.Errorf("set label %s of revision %s to %v: %w", v1alpha1.LabelActive, rev.Name, want[v1alpha1.LabelActive], err)
	}
	return target, nil
}

// ownedBy doesn't block the owner's deletion, which would need rights on its finalizers.
func ownedBy(m *v1alpha1.BPFMap) []metav1.OwnerReference {
	return []metav1.OwnerReference{{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "BPFMap", Name: m.Name, UID: m.UID, Controller: new(true),
	}}
}

func namesOf(revisions []v1alpha1.BPFMapRevision) map[string]bool {
	names := make(map[string]bool, len(revisions))
	for i := range revisions {
		names[revisions[i].Name] = true
	}
	return names
}
