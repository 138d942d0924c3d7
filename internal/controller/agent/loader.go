// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	recorders "github.com/bpfmap-io/bpfmap-operator/internal/metrics"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

const (
	// fetchers bounds how many chunks this agent reads in parallel, of all maps together: thousands of agents
	// learn of a revision at the same time, and a map of 100,000 entries is eight chunks or more.
	fetchers = 2
	// fetchJitter spreads the first reads of all those agents: as much for each chunk, up to maxFetchJitter.
	fetchJitter, maxFetchJitter = 10 * time.Millisecond, 50 * time.Millisecond
	// maxCachedBytes bounds the packed entries that are kept for all maps together. One revision may be
	// larger; it is kept alone.
	maxCachedBytes = 128 << 20
)

// revisionLoader turns revisions' objects into revisions. It keeps the parts of each map's last revision, so
// that the next one costs only the parts that changed: what both share is neither read nor checked again.
// It is safe for concurrent use.
type revisionLoader struct {
	// reader reads from the API server: chunks are never watched nor cached as objects.
	reader  client.Reader
	metrics *recorders.Node
	// spread draws a part of fetchJitter.
	spread func(time.Duration) time.Duration
	slots  chan struct{} // holds one for each chunk that is being read

	mu    sync.Mutex
	cache map[revision.Key]*cachedRevision
	bytes int   // of all cached revisions
	loads int64 // counts uses of the cache
}

// cachedRevision is what is kept of one map.
type cachedRevision struct {
	uid   types.UID // of the revision's object
	rev   *revision.Revision
	parts map[string]*revision.Part // by the names of their chunks
	bytes int
	used  int64 // when it was used last, in loads
}

func newRevisionLoader(reader client.Reader, metrics *recorders.Node) *revisionLoader {
	return &revisionLoader{
		reader: reader, metrics: metrics, spread: process.ByLot, slots: make(chan struct{}, fetchers), cache: map[revision.Key]*cachedRevision{},
	}
}

// errInvalid says that a revision is wrong, and that trying again doesn't help.
var errInvalid = errors.New("invalid revision")

// load is the revision of an object, with its chunks. Errors are errInvalid, revision.ErrByteOrder, or of reading.
func (l *revisionLoader) load(ctx context.Context, object *v1alpha1.BPFMapRevision) (*revision.Revision, error) {
	key := mapOf(object)
	last := l.lastOf(key)
	if last.rev != nil && last.uid == object.UID {
		return last.rev, nil
	}
	described, err := revision.Describe(object)
	if errors.Is(err, revision.ErrByteOrder) {
		return nil, err // right, but not for this node
	}
	if err == nil {
		err = checkAnnounced(&object.Spec)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errInvalid, err)
	}
	parts, err := l.collect(ctx, object, described.Shape, last.parts)
	if err != nil {
		return nil, err
	}
	rev, err := revision.FromObject(object, parts)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errInvalid, err)
	}
	if len(parts) == 0 {
		l.forget(key)
		return rev, nil
	}
	l.keep(key, object, rev)
	return rev, nil
}

// checkAnnounced refuses a revision that is larger than any may be, before anything of it is read.
func checkAnnounced(s *v1alpha1.BPFMapRevisionSpec) error {
	each, chunks := s.KeySize+s.ValueSize, int64(len(s.Chunks))
	switch {
	case s.EntryCount < 0:
		return fmt.Errorf("%d entries are announced", s.EntryCount)
	case chunks > v1alpha1.MaxChunks:
		return fmt.Errorf("%d chunks are announced, more than the %d that are allowed", chunks, v1alpha1.MaxChunks)
	case each > 0 && s.EntryCount > v1alpha1.MaxEntriesBytes/each:
		return fmt.Errorf("%d entries of %d+%d bytes are announced, more than the %d bytes that are allowed",
			s.EntryCount, s.KeySize, s.ValueSize, v1alpha1.MaxEntriesBytes)
	case chunks > 0 && s.EntryCount*each > chunks*v1alpha1.MaxChunkBytes:
		return fmt.Errorf("%d entries of %d+%d bytes are announced, more than %d chunks of %d bytes hold",
			s.EntryCount, s.KeySize, s.ValueSize, chunks, v1alpha1.MaxChunkBytes)
	}
	return nil
}

// collect are the parts of an object's contents that are stored as chunks, of which some are at hand.
func (l *revisionLoader) collect(ctx context.Context, object *v1alpha1.BPFMapRevision, shape revision.Shape, atHand map[string]*revision.Part) ([]*revision.Part, error) {
	parts := make([]*revision.Part, len(object.Spec.Chunks))
	var lacking []int
	var total atomic.Int64
	for i, name := range object.Spec.Chunks {
		if parts[i] = atHand[name]; parts[i] == nil {
			lacking = append(lacking, i)
			continue
		}
		total.Add(int64(len(parts[i].Packed)))
	}
	if len(lacking) == 0 {
		return parts, nil
	}
	sleep(ctx, l.spread(min(time.Duration(len(lacking))*fetchJitter, maxFetchJitter)))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fetchers)
	for _, i := range lacking {
		group.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return err // of the process, or of another chunk, which is the one that is returned
			}
			if parts[i], err = l.fetch(ctx, object.Namespace, object.Spec.Chunks[i], shape); err != nil {
				return err
			}
			if total.Add(int64(len(parts[i].Packed))) > v1alpha1.MaxEntriesBytes {
				return fmt.Errorf("%w: its chunks hold more than the %d bytes that are allowed", errInvalid, v1alpha1.MaxEntriesBytes)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return parts, nil
}

// fetch reads one chunk and checks it.
func (l *revisionLoader) fetch(ctx context.Context, namespace, name string, shape revision.Shape) (*revision.Part, error) {
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var chunk v1alpha1.BPFMapChunk
	err := l.reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &chunk)
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("chunk %s was not found", name)
	case err != nil:
		return nil, fmt.Errorf("read chunk %s: %w", name, err)
	}
	l.metrics.CountChunk(len(chunk.Entries))
	return revision.ReadPart(shape, name, chunk.Entries)
}

// lastOf is what is kept of a map; the zero value if nothing is.
func (l *revisionLoader) lastOf(key revision.Key) cachedRevision {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, ok := l.cache[key]
	if !ok {
		return cachedRevision{}
	}
	l.loads++
	last.used = l.loads
	return *last
}

// keep remembers a revision with chunks in place of the map's last one. While too much is kept, what was
// used longest ago is forgotten.
func (l *revisionLoader) keep(key revision.Key, object *v1alpha1.BPFMapRevision, rev *revision.Revision) {
	kept := &cachedRevision{uid: object.UID, rev: rev, parts: make(map[string]*revision.Part, len(object.Spec.Chunks))}
	for i, part := range rev.Contents.Parts() {
		kept.parts[object.Spec.Chunks[i]] = part
		kept.bytes += len(part.Packed)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(key)
	l.loads++
	kept.used = l.loads
	l.cache[key] = kept
	for l.bytes += kept.bytes; l.bytes > maxCachedBytes && len(l.cache) > 1; {
		l.drop(l.oldest())
	}
}

// oldest is the map whose revision was used longest ago. The lock is held.
func (l *revisionLoader) oldest() (key revision.Key) {
	used := l.loads + 1
	for k, c := range l.cache {
		if c.used < used {
			key, used = k, c.used
		}
	}
	return key
}

// forget drops what is kept of a map.
func (l *revisionLoader) forget(key revision.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(key)
}

// drop forgets a map. The lock is held.
func (l *revisionLoader) drop(key revision.Key) {
	if last, ok := l.cache[key]; ok {
		l.bytes -= last.bytes
		delete(l.cache, key)
	}
}
