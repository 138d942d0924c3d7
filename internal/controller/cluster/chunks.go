// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// chunkKind is watched for its metadata alone: the entries stay out of this process's memory.
var chunkKind = v1alpha1.GroupVersion.WithKind("BPFMapChunk")

// indexOwner finds chunks by the name of their BPFMap.
const indexOwner = "metadata.ownerReferences"

func ownerOf(o client.Object) []string {
	if owner := metav1.GetControllerOf(o); owner != nil {
		return []string{owner.Name}
	}
	return nil
}

// chunksOf are the metadata of all chunks made for a BPFMap's name.
func (r *reconciler) chunksOf(ctx context.Context, name types.NamespacedName) ([]metav1.PartialObjectMetadata, error) {
	list := process.MetadataList(chunkKind)
	err := r.client.List(ctx, list, client.InNamespace(name.Namespace), client.MatchingFields{indexOwner: name.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list chunks: %w", err)
	}
	return list.Items, nil
}

// createChunks writes those of the chunks that aren't there yet.
func (r *reconciler) createChunks(ctx context.Context, m *v1alpha1.BPFMap, chunks []*revision.Part) error {
	if len(chunks) == 0 {
		return nil
	}
	existing, err := r.chunksOf(ctx, client.ObjectKeyFromObject(m))
	if err != nil {
		return err
	}
	there := names(existing)
	for i := range chunks {
		name := chunks[i].Name(m.Name)
		if there[name] {
			continue
		}
		object := &v1alpha1.BPFMapChunk{EntryCount: int64(chunks[i].Len), Entries: chunks[i].Packed}
		object.Namespace, object.Name, object.OwnerReferences = m.Namespace, name, ownedBy(m)
		if err := r.client.Create(ctx, object); err != nil && !stale(err) {
			return fmt.Errorf("create chunk %s: %w", object.Name, err)
		}
	}
	return nil
}

// keepChunks writes again what somebody deleted of the newest revision's chunks, and deletes those that
// no revision names.
func (r *reconciler) keepChunks(ctx context.Context, m *v1alpha1.BPFMap, own []v1alpha1.BPFMapRevision, now outcome) error {
	existing, err := r.chunksOf(ctx, client.ObjectKeyFromObject(m))
	if err != nil {
		return err
	}
	newest := &own[len(own)-1]
	there := names(existing)
	missing := slices.ContainsFunc(newest.Spec.Chunks, func(name string) bool { return !there[name] })
	if missing && now.again != nil && newest.Spec.Digest == now.spec.Digest {
		_, chunks, err := now.objects(m, newest.Number())
		if err != nil {
			return err
		}
		if err := r.createChunks(ctx, m, chunks); err != nil {
			return err
		}
	}
	named := map[string]bool{}
	for i := range own {
		for _, name := range own[i].Spec.Chunks {
			named[name] = true
		}
	}
	return r.deleteChunks(ctx, existing, named)
}

// deleteChunks deletes all chunks but some.
func (r *reconciler) deleteChunks(ctx context.Context, chunks []metav1.PartialObjectMetadata, keep map[string]bool) error {
	for i := range chunks {
		if keep[chunks[i].Name] {
			continue
		}
		object := &v1alpha1.BPFMapChunk{ObjectMeta: metav1.ObjectMeta{Namespace: chunks[i].Namespace, Name: chunks[i].Name}}
		if err := r.client.Delete(ctx, object, client.Preconditions{UID: &chunks[i].UID}); err != nil && !stale(err) {
			return fmt.Errorf("delete chunk %s: %w", object.Name, err)
		}
	}
	return nil
}

func names(objects []metav1.PartialObjectMetadata) map[string]bool {
	set := make(map[string]bool, len(objects))
	for i := range objects {
		set[objects[i].Name] = true
	}
	return set
}

// chunkToMap leads from a chunk to its BPFMap, for chunks that others delete.
func chunkToMap(_ context.Context, o client.Object) []types.NamespacedName {
	if owner := metav1.GetControllerOf(o); owner != nil {
		return []types.NamespacedName{{Namespace: o.GetNamespace(), Name: owner.Name}}
	}
	return nil
}
