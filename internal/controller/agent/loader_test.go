// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// shop is an API server that has chunks and nothing else.
type shop struct {
	client.Reader
	// during is called in each read.
	during func(ctx context.Context) error

	mu             sync.Mutex
	chunks         map[string][]byte
	reads          int
	parallel, most int
}

func (s *shop) Get(ctx context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	s.mu.Lock()
	s.reads++
	s.parallel++
	s.most = max(s.most, s.parallel)
	packed, ok := s.chunks[key.Name]
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.parallel--
	}()
	if s.during != nil {
		if err := s.during(ctx); err != nil {
			return err
		}
	}
	if !ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "bpfmapchunks"}, key.Name)
	}
	o.(*v1alpha1.BPFMapChunk).Entries = bytes.Clone(packed) // a decoder makes a copy
	return nil
}

// large is a revision of n entries as API objects; the chunks are put into the shop.
func large(t testing.TB, s *shop, uid types.UID, n uint64, change func(*revision.Entries)) *v1alpha1.BPFMapRevision {
	t.Helper()
	rev := &revision.Revision{
		Key:   revision.Key{Namespace: "edge", Name: "large"},
		Name:  "large-1",
		Shape: revision.Shape{Type: v1alpha1.MapTypeHash, KeySize: 8, ValueSize: 8, MaxEntries: 1 << 20},
		Pin:   revision.Pin{Path: "bpfmap/edge/large", Mode: 0o600},
	}
	entries := revision.Entries{KeySize: 8, ValueSize: 8}
	for i := range n {
		k := binary.BigEndian.AppendUint64(nil, i)
		entries.Append(k, k, false)
	}
	if change != nil {
		change(&entries)
	}
	var err error
	if rev.Contents, err = revision.NewContents(rev.Shape, &entries); err != nil {
		t.Fatal(err)
	}
	rev.Digest = rev.ContentDigest()
	object, chunks := revision.ToObjects(rev)
	object.UID = uid
	for _, c := range chunks {
		s.chunks[c.Name(rev.Key.Name)] = c.Packed
	}
	return object
}

// valueOf is the value at the key n.
func valueOf(rev *revision.Revision, n uint64) []byte {
	i, _ := rev.Contents.Find(rev.Shape, binary.BigEndian.AppendUint64(nil, n))
	return rev.Contents.Value(i)
}

func TestLoader(t *testing.T) {
	s := &shop{chunks: map[string][]byte{}}
	l := newRevisionLoader(s, newMetrics())
	first := large(t, s, "one", 50000, nil)
	rev, err := l.load(t.Context(), first)
	if err != nil || rev.Contents.Len != 50000 || s.reads != len(first.Spec.Chunks) || s.reads < 4 {
		t.Fatalf("%d entries, %d reads of %d chunks, %v", rev.Contents.Len, s.reads, len(first.Spec.Chunks), err)
	}
	if again, err := l.load(t.Context(), first); err != nil || again != rev || s.reads != len(first.Spec.Chunks) {
		t.Errorf("the same revision was read again: %d reads, %v", s.reads, err)
	}
	// One changed entry costs one chunk.
	s.reads = 0
	second := large(t, s, "two", 50000, func(e *revision.Entries) { e.Value(4711)[0] = 1 })
	if rev, err = l.load(t.Context(), second); err != nil || valueOf(rev, 4711)[0] != 1 || s.reads != 1 {
		t.Errorf("%d reads, %v", s.reads, err)
	}
	// What is forgotten is read again.
	l.forget(rev.Key)
	if _, err := l.load(t.Context(), second); err != nil || s.reads != 1+len(second.Spec.Chunks) {
		t.Errorf("%d reads, %v", s.reads, err)
	}
}

func TestLoaderRefuses(t *testing.T) {
	s := &shop{chunks: map[string][]byte{}}
	object := large(t, s, "one", 50000, nil)
	name := object.Spec.Chunks[2]
	packed := s.chunks[name]

	delete(s.chunks, name)
	_, err := newRevisionLoader(s, newMetrics()).load(t.Context(), object)
	if err == nil || !strings.Contains(err.Error(), "chunk "+name+" was not found") || errors.Is(err, errInvalid) {
		t.Errorf("a missing chunk: %v", err)
	}
	s.chunks[name] = bytes.Clone(packed)
	s.chunks[name][50] ^= 1
	if _, err = newRevisionLoader(s, newMetrics()).load(t.Context(), object); err == nil || !strings.Contains(err.Error(), "altered") {
		t.Errorf("an altered chunk: %v", err)
	}
	s.chunks[name] = packed
	wrong := object.DeepCopy()
	wrong.Spec.Digest = "sha256:00"
	if _, err = newRevisionLoader(s, newMetrics()).load(t.Context(), wrong); !errors.Is(err, errInvalid) {
		t.Errorf("a wrong digest: %v", err)
	}
	wrong = object.DeepCopy()
	wrong.Spec.Chunks[0] = wrong.Spec.Chunks[1]
	if _, err = newRevisionLoader(s, newMetrics()).load(t.Context(), wrong); !errors.Is(err, errInvalid) {
		t.Errorf("the same chunk twice: %v", err)
	}
}

// TestLoaderBounds: what can't be right isn't read at all.
func TestLoaderBounds(t *testing.T) {
	s := &shop{chunks: map[string][]byte{}}
	object := large(t, s, "one", 50000, nil)
	for what, change := range map[string]func(*v1alpha1.BPFMapRevisionSpec){
		"bytes that are allowed":     func(spec *v1alpha1.BPFMapRevisionSpec) { spec.EntryCount = v1alpha1.MaxEntriesBytes/16 + 1 },
		"more than the 4096":         func(spec *v1alpha1.BPFMapRevisionSpec) { spec.Chunks = make([]string, v1alpha1.MaxChunks+1) },
		"more than 1 chunks":         func(spec *v1alpha1.BPFMapRevisionSpec) { spec.Chunks = spec.Chunks[:1] },
		"-1 entries":                 func(spec *v1alpha1.BPFMapRevisionSpec) { spec.EntryCount = -1 },
		"valueSize 1099511627776 is": func(spec *v1alpha1.BPFMapRevisionSpec) { spec.ValueSize = 1 << 40 },
	} {
		wrong := object.DeepCopy()
		change(&wrong.Spec)
		if _, err := newRevisionLoader(s, newMetrics()).load(t.Context(), wrong); !errors.Is(err, errInvalid) || !strings.Contains(err.Error(), what) || s.reads > 0 {
			t.Errorf("%s: %d reads, %v", what, s.reads, err)
		}
	}
}

// TestLoaderReadsInParallel, as many chunks at a time as it may, and stops when the process ends.
func TestLoaderReadsInParallel(t *testing.T) {
	s := &shop{chunks: map[string][]byte{}}
	object := large(t, s, "one", 200000, nil)
	both := make(chan struct{})
	var once sync.Once
	s.during = func(context.Context) error {
		s.mu.Lock()
		full := s.parallel == fetchers
		s.mu.Unlock()
		if full {
			once.Do(func() { close(both) })
		}
		<-both // all wait until as many are here as may be
		return nil
	}
	if _, err := newRevisionLoader(s, newMetrics()).load(t.Context(), object); err != nil || s.most != fetchers {
		t.Errorf("%d reads in parallel, want %d: %v", s.most, fetchers, err)
	}

	// Maps that are loaded at the same time share the bound: all agents learn of them together.
	l, other := newRevisionLoader(s, newMetrics()), object.DeepCopy()
	other.Spec.MapName = "other" // its chunks have another name, and so it won't be accepted
	var all sync.WaitGroup
	for _, o := range []*v1alpha1.BPFMapRevision{object, other} {
		all.Go(func() { _, _ = l.load(t.Context(), o) })
	}
	if all.Wait(); s.most != fetchers {
		t.Errorf("%d reads in parallel for two maps, want %d", s.most, fetchers)
	}

	ctx, stop := context.WithCancel(t.Context())
	s.reads = 0
	s.during = func(ctx context.Context) error {
		stop()
		<-ctx.Done()
		return ctx.Err()
	}
	if _, err := newRevisionLoader(s, newMetrics()).load(ctx, object); !errors.Is(err, context.Canceled) || s.reads > fetchers {
		t.Errorf("%d reads of %d chunks when the process ends: %v", s.reads, len(object.Spec.Chunks), err)
	}
}

// TestLoaderForgets what was used longest ago when it keeps too much.
func TestLoaderForgets(t *testing.T) {
	l := newRevisionLoader(nil, newMetrics())
	keep := func(name string, bytes int) {
		l.cache[revision.Key{Name: name}] = &cachedRevision{rev: &revision.Revision{}, bytes: bytes, used: l.loads}
		l.bytes += bytes
		l.loads++
	}
	keep("a", maxCachedBytes/2)
	keep("b", maxCachedBytes/4)
	keep("c", maxCachedBytes/4)
	l.lastOf(revision.Key{Name: "a"}) // b is the oldest now
	s := &shop{chunks: map[string][]byte{}}
	l.reader = s
	if _, err := l.load(t.Context(), large(t, s, "one", 50000, nil)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"a": true, "b": false, "c": true} {
		if got := l.lastOf(revision.Key{Name: name}).rev != nil; got != want {
			t.Errorf("%s is kept: %t, want %t", name, got, want)
		}
	}
	total := 0
	for key, c := range l.cache {
		total += c.bytes
		l.forget(key)
	}
	if total > maxCachedBytes || l.bytes != 0 {
		t.Errorf("%d bytes were kept, %d of nothing", total, l.bytes)
	}
}

// TestOneOfAMillion: a changed entry of a million costs the chunk that it is in, from the object to the
// revision.
func TestOneOfAMillion(t *testing.T) {
	s := &shop{chunks: map[string][]byte{}}
	l := newRevisionLoader(s, newMetrics())
	first := large(t, s, "one", 1_000_000, nil)
	rev, err := l.load(t.Context(), first)
	if err != nil || rev.Contents.Len != 1_000_000 {
		t.Fatalf("%d entries, %v", rev.Contents.Len, err)
	}
	second := large(t, s, "two", 1_000_000, func(e *revision.Entries) { e.Value(4711)[0] = 1 })
	s.reads = 0
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	rev, err = l.load(t.Context(), second)
	runtime.ReadMemStats(&after)
	if err != nil || valueOf(rev, 4711)[0] != 1 || s.reads != 1 {
		t.Errorf("%d reads, %v", s.reads, err)
	}
	allocated := after.TotalAlloc - before.TotalAlloc
	t.Logf("%d bytes were allocated, %d of them for the chunk", allocated, v1alpha1.MaxChunkBytes/2)
	if allocated > 1<<20 {
		t.Errorf("%d bytes were allocated, want less than 1 MiB", allocated)
	}
}
