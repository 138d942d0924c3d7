// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package contents

import (
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/kube"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// readers is how many parts of a revision are read at the same time.
const readers = 8

// Read reads a revision with its entries, which may be in parts of their own, and checks them against its digest.
func Read(ctx context.Context, c client.Reader, object *v1alpha1.BPFMapRevision) (*revision.Revision, error) {
	described, err := revision.Describe(object)
	if err != nil {
		return nil, err
	}
	if n := len(object.Spec.Chunks); n > v1alpha1.MaxChunks {
		return nil, fmt.Errorf("revision %s has %d parts, more than the %d that are allowed", object.Name, n, v1alpha1.MaxChunks)
	}
	parts := make([]*revision.Part, len(object.Spec.Chunks))
	var total atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for i, name := range object.Spec.Chunks {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			chunk := &v1alpha1.BPFMapChunk{}
			if err := c.Get(ctx, client.ObjectKey{Namespace: object.Namespace, Name: name}, chunk); err != nil {
				return kube.Request{
					Verb: "get", Resource: "bpfmapchunks", Group: v1alpha1.GroupVersion.Group, Namespace: object.Namespace, Name: name, Purpose: "reading what a revision holds",
				}.Error(err)
			}
			if total.Add(int64(len(chunk.Entries))) > v1alpha1.MaxEntriesBytes {
				return fmt.Errorf("the parts of revision %s hold more than the %d bytes that are allowed", object.Name, v1alpha1.MaxEntriesBytes)
			}
			part, err := revision.ReadPart(described.Shape, name, chunk.Entries)
			if err != nil {
				return fmt.Errorf("read chunk %s: %w", name, err)
			}
			parts[i] = part
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return revision.FromObject(object, parts)
}
