// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
)

// confirm reads from the API server, once for each reconcile, that the cache shows the BPFMap's spec as it is, and
// all of its revisions: before something is deleted that only an old view has no use for, and before a revision
// is made that only an old view asks for.
func (r *reconciler) confirm(ctx context.Context, s *scope) error {
	if s.confirmed {
		return nil
	}
	m, err := r.liveMetadata(ctx, mapKind, s.name)
	switch {
	case err != nil:
		return err
	case m == nil || m.UID != s.m.UID || !m.DeletionTimestamp.IsZero():
		return staleCache("BPFMap %s with UID %s is gone", s.name, s.m.UID)
	case m.Generation != s.m.Generation:
		return staleCache("the spec of BPFMap %s is of generation %d, not %d", s.name, m.Generation, s.m.Generation)
	}
	if err := r.confirmRevisions(ctx, s); err != nil {
		return err
	}
	s.confirmed = true
	return nil
}

// confirmRevisions compares the revisions that the cache shows with those that there are.
func (r *reconciler) confirmRevisions(ctx context.Context, s *scope) error {
	list := process.MetadataList(revisionKind)
	err := r.live.List(ctx, list, client.InNamespace(s.name.Namespace), client.MatchingLabels{v1alpha1.LabelMap: v1alpha1.MapLabel(s.name.Name)})
	if err != nil {
		return fmt.Errorf("list revisions of %s from the API server: %w", s.name, err)
	}
	there := make(map[string]types.UID, len(list.Items))
	for i := range list.Items {
		there[list.Items[i].Name] = list.Items[i].UID
	}
	for _, revisions := range [][]v1alpha1.BPFMapRevision{s.own, s.namesakes} {
		for i := range revisions {
			rev := &revisions[i]
			uid, ok := there[rev.Name]
			if rev.Labels[v1alpha1.LabelMap] != "" && (!ok || uid != rev.UID) { // those of older controllers lack the label
				return staleCache("revision %s is gone", rev.Name)
			}
			delete(there, rev.Name)
		}
	}
	for name := range there {
		if isRevisionOf(name, s.name.Name) {
			return staleCache("there is a revision %s", name)
		}
	}
	return nil
}

// isRevisionOf says whether a name is that of a revision of a BPFMap: long names may share the label.
func isRevisionOf(revision, name string) bool {
	number, ok := strings.CutPrefix(revision, name+"-")
	_, err := strconv.ParseUint(number, 10, 63)
	return ok && err == nil
}

// confirmSources reads from the API server that what was compiled is what the sources hold: a ConfigMap that the
// cache doesn't show yet would be missing from the next revision.
func (r *reconciler) confirmSources(ctx context.Context, s *scope) error {
	if s.m.Spec.RollbackTo != "" || len(s.m.Spec.EntriesFrom) == 0 || s.confirmedSources {
		return nil
	}
	now, err := compile.Gather(&s.m.Spec, objects{r, ctx, s.m.Namespace, r.live})
	if err != nil {
		return err
	}
	if stateOf(now) != s.sources {
		return staleCache("the sources of BPFMap %s have changed", s.name)
	}
	s.confirmedSources = true
	return nil
}

// confirmGone reads from the API server that a BPFMap is gone, or about to be.
func (r *reconciler) confirmGone(ctx context.Context, name types.NamespacedName) error {
	m, err := r.liveMetadata(ctx, mapKind, name)
	switch {
	case err != nil:
		return err
	case m != nil && m.DeletionTimestamp.IsZero():
		return staleCache("there is a BPFMap %s with UID %s", name, m.UID)
	}
	return nil
}

// liveMetadata reads an object's metadata from the API server; nil if there is no such object.
func (r *reconciler) liveMetadata(ctx context.Context, kind groupVersionKind, name types.NamespacedName) (*metadata, error) {
	o := process.Metadata(kind)
	err := r.live.Get(ctx, name, o)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s %s from the API server: %w", kind.Kind, name, err)
	}
	return o, nil
}
