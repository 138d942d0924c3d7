// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

const (
	// fetchers bounds how many chunks are read at the same time.
	fetchers = 4
	// fetchJitter spreads the first reads of many nodes that learn of a revision at the same time.
	fetchJitter = 50 * time.Millisecond
)

// library turns revisions' objects into revisions. It keeps the packed bytes of the chunks of each
// map's last revision, so that the next one costs only the chunks that changed.
type library struct {
	// reader reads from the API server: chunks are never watched nor cached as objects.
	reader client.Reader
	// count is told of the bytes that were read.
	count func(bytes int)

	mu    sync.Mutex
	shelf map[revision.Key]volume
}

// volume is what is kept of one map.
type volume struct {
	uid   types.UID // of the revision's object
	rev   *revision.Revision
	parts map[string]*revision.Part
}

func newLibrary(reader client.Reader, count func(int)) *library {
	return &library{reader: reader, count: count, shelf: map[revision.Key]volume{}}
}

// errInvalid says that a revision is wrong, and that trying again doesn't help.
var errInvalid = errors.New("invalid revision")

// revision is the revision of an object, with its chunks. Errors are errInvalid, or of reading.
func (l *library) revision(ctx context.Context, object *v1alpha1.BPFMapRevision) (*revision.Revision, error) {
	key := revision.Key{Namespace: object.Namespace, Name: object.Spec.MapName}
	l.mu.Lock()
	old := l.shelf[key]
	l.mu.Unlock()
	if old.rev != nil && old.uid == object.UID {
		return old.rev, nil
	}
	v := volume{uid: object.UID, parts: map[string]*revision.Part{}}
	described, err := revision.Describe(object)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errInvalid, err)
	}
	parts, err := l.collect(ctx, object, described.Shape, old.parts)
	if err != nil {
		return nil, err
	}
	if v.rev, err = revision.FromObject(object, parts); err != nil {
		return nil, fmt.Errorf("%w: %w", errInvalid, err)
	}
	if len(parts) == 0 {
		l.forget(key)
		return v.rev, nil
	}
	for i, name := range object.Spec.Chunks {
		v.parts[name] = parts[i]
	}
	l.mu.Lock()
	l.shelf[key] = v
	l.mu.Unlock()
	return v.rev, nil
}

// forget drops what is kept of a map.
func (l *library) forget(key revision.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.shelf, key)
}

// collect are the parts of an object's contents that are stored as chunks, of which some are at hand.
func (l *library) collect(ctx context.Context, object *v1alpha1.BPFMapRevision, shape revision.Shape, atHand map[string]*revision.Part) ([]*revision.Part, error) {
	parts := make([]*revision.Part, len(object.Spec.Chunks))
	errs := make([]error, len(parts))
	var lacking []int
	for i, name := range object.Spec.Chunks {
		if parts[i] = atHand[name]; parts[i] == nil {
			lacking = append(lacking, i)
		}
	}
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(fetchers, len(lacking)) {
		workers.Go(func() {
			sleep(ctx, rand.N(fetchJitter))
			for i := range next {
				parts[i], errs[i] = l.fetch(ctx, object.Namespace, object.Spec.Chunks[i], shape)
			}
		})
	}
	for _, i := range lacking {
		next <- i
	}
	close(next)
	workers.Wait()
	return parts, errors.Join(errs...)
}

// fetch reads one chunk and checks it against its name.
func (l *library) fetch(ctx context.Context, namespace, name string, shape revision.Shape) (*revision.Part, error) {
	var chunk v1alpha1.BPFMapChunk
	err := l.reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &chunk)
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("chunk %s is not there", name)
	case err != nil:
		return nil, fmt.Errorf("read chunk %s: %w", name, err)
	}
	l.count(len(chunk.Entries))
	return revision.ReadPart(shape, name, chunk.Entries)
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
