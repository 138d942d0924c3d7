// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
)

type (
	metadata         = metav1.PartialObjectMetadata
	groupVersionKind = schema.GroupVersionKind
)

// The kinds that are read as metadata. Chunks are watched so: the entries stay out of this process's memory.
var (
	chunkKind    = v1alpha1.GroupVersion.WithKind("BPFMapChunk")
	mapKind      = v1alpha1.GroupVersion.WithKind("BPFMap")
	revisionKind = v1alpha1.GroupVersion.WithKind("BPFMapRevision")
)

// indexOwner finds chunks by the name of their BPFMap.
const indexOwner = "metadata.ownerReferences"

func ownerOf(o client.Object) []string {
	if owner := metav1.GetControllerOf(o); owner != nil {
		return []string{owner.Name}
	}
	return nil
}

// chunksOf are the metadata of all chunks made for a BPFMap's name.
func (r *reconciler) chunksOf(ctx context.Context, name types.NamespacedName) ([]metadata, error) {
	list := process.MetadataList(chunkKind)
	err := r.client.List(ctx, list, client.InNamespace(name.Namespace), client.MatchingFields{indexOwner: name.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list chunks: %w", err)
	}
	return list.Items, nil
}

// chunkSizes are the sizes of chunks by their names, in bytes.
func chunkSizes(chunks []metadata) map[string]int64 {
	sizes := make(map[string]int64, len(chunks))
	for i := range chunks {
		sizes[chunks[i].Name] = chunkSize(&chunks[i])
	}
	return sizes
}

// chunkWrites is how many chunks of a map are written at the same time: while one waits for etcd's disk, the API server
// reads the next ones.
const chunkWrites = 4

// createChunks writes those of the parts that aren't there yet. It rejects the spec if the name of one is taken.
func (r *reconciler) createChunks(ctx context.Context, s *scope, parts []*revision.Part) error {
	there := make(map[string]bool, len(s.chunks))
	for i := range s.chunks {
		if metav1.IsControlledBy(&s.chunks[i], s.m) {
			there[s.chunks[i].Name] = true
		}
	}
	rejections := make([]*status.Rejection, len(parts))
	writes, ctx := errgroup.WithContext(ctx)
	writes.SetLimit(chunkWrites)
	for i, p := range parts {
		name := p.Name(s.name.Name)
		if there[name] || ctx.Err() != nil {
			continue
		}
		writes.Go(func() (err error) {
			rejections[i], err = r.createChunk(ctx, s, name, p)
			if rejections[i] != nil {
				err = errTaken
			}
			return err
		})
	}
	err := writes.Wait()
	if i := slices.IndexFunc(rejections, func(r *status.Rejection) bool { return r != nil }); i >= 0 {
		s.rejected = rejections[i]
		return nil
	}
	return err
}

// errTaken ends the writing of chunks: the spec is rejected.
var errTaken = errors.New("the name of a chunk is taken")

func (r *reconciler) createChunk(ctx context.Context, s *scope, name string, p *revision.Part) (rejected *status.Rejection, err error) {
	err = r.client.Create(ctx, newChunk(s.m, name, p.Len, p.Packed))
	if apierrors.IsAlreadyExists(err) {
		rejected, err = r.whoseChunk(ctx, s, name)
	}
	if err != nil {
		return nil, fmt.Errorf("create chunk %s: %w", name, err)
	}
	return rejected, nil
}

// newChunk is a chunk of a BPFMap.
func newChunk(m *v1alpha1.BPFMap, name string, count int, packed []byte) *v1alpha1.BPFMapChunk {
	object := &v1alpha1.BPFMapChunk{EntryCount: int64(count), Entries: packed}
	object.Namespace, object.Name, object.OwnerReferences = m.Namespace, name, ownedBy(m)
	object.Annotations = map[string]string{v1alpha1.AnnotationPackedBytes: strconv.Itoa(len(packed))}
	return object
}

// whoseChunk explains why a chunk can't be created: one of that name exists. If it is this BPFMap's, the
// cache doesn't show it yet, and all is well.
func (r *reconciler) whoseChunk(ctx context.Context, s *scope, name string) (*status.Rejection, error) {
	there, err := r.liveMetadata(ctx, chunkKind, types.NamespacedName{Namespace: s.name.Namespace, Name: name})
	if err != nil || (there != nil && metav1.IsControlledBy(there, s.m)) {
		return nil, err
	}
	if there == nil || metav1.GetControllerOf(there) != nil {
		return nil, staleCache("chunk %s exists, or existed a moment ago", name) // a namesake's, which is being deleted
	}
	return &status.Rejection{Reason: v1alpha1.ReasonNameConflict, Message: fmt.Sprintf(
		"the entries can't be stored in a BPFMapChunk named %s: there is one of that name, which belongs to no BPFMap: delete it", name)}, nil
}

// restoreChunks writes again what others deleted of the newest revision's chunks.
func (r *reconciler) restoreChunks(ctx context.Context, s *scope) error {
	want := cmp.Or(s.want, s.refused) // what isn't accepted may have the same entries
	if want == nil || want.recompile == nil || len(s.own) == 0 {
		return nil
	}
	newest := &s.own[len(s.own)-1]
	sizes := chunkSizes(s.chunks)
	missing := slices.ContainsFunc(newest.Spec.Chunks, func(name string) bool { _, ok := sizes[name]; return !ok })
	if !missing || newest.Spec.Digest != want.digest {
		return nil
	}
	_, parts, err := want.objects(s.m, newest.Number(), r.seenBy(ctx, s))
	if err != nil {
		return err
	}
	return r.createChunks(ctx, s, parts)
}

// deleteChunks deletes chunks. Those that are gone already need no more.
func (r *reconciler) deleteChunks(ctx context.Context, chunks []metadata) error {
	for i := range chunks {
		object := &v1alpha1.BPFMapChunk{ObjectMeta: metav1.ObjectMeta{Namespace: chunks[i].Namespace, Name: chunks[i].Name}}
		err := r.client.Delete(ctx, object, client.Preconditions{UID: &chunks[i].UID})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete chunk %s: %w", object.Name, err)
		}
	}
	return nil
}

// chunkToMap leads from a chunk to its BPFMap, for chunks that others delete.
func chunkToMap(o client.Object) []types.NamespacedName {
	if owner := metav1.GetControllerOf(o); owner != nil {
		return []types.NamespacedName{{Namespace: o.GetNamespace(), Name: owner.Name}}
	}
	return nil
}
