// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
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
	mu     sync.Mutex
	chunks map[string][]byte
	reads  int
}

func (s *shop) Get(_ context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	packed, ok := s.chunks[key.Name]
	if !ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "bpfmapchunks"}, key.Name)
	}
	o.(*v1alpha1.BPFMapChunk).Entries = packed
	return nil
}

// large is a revision of n entries as API objects; the chunks are put into the shop.
func large(t *testing.T, s *shop, uid types.UID, n uint64, change func(*revision.Entries)) *v1alpha1.BPFMapRevision {
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

func TestLibrary(t *testing.T) {
	s := &shop{chunks: map[string][]byte{}}
	l := newLibrary(s, func(int) {})
	first := large(t, s, "one", 50000, nil)
	rev, err := l.revision(t.Context(), first)
	if err != nil || rev.Contents.Len != 50000 || s.reads != len(first.Spec.Chunks) || s.reads < 4 {
		t.Fatalf("%d entries, %d reads of %d chunks, %v", rev.Contents.Len, s.reads, len(first.Spec.Chunks), err)
	}
	if again, err := l.revision(t.Context(), first); err != nil || again != rev || s.reads != len(first.Spec.Chunks) {
		t.Errorf("the same revision was read again: %d reads, %v", s.reads, err)
	}
	// One changed entry costs one chunk.
	s.reads = 0
	second := large(t, s, "two", 50000, func(e *revision.Entries) { e.Value(4711)[0] = 1 })
	if rev, err = l.revision(t.Context(), second); err != nil || valueOf(rev, 4711)[0] != 1 || s.reads != 1 {
		t.Errorf("%d reads, %v", s.reads, err)
	}
	// What is forgotten is read again.
	l.forget(rev.Key)
	if _, err := l.revision(t.Context(), second); err != nil || s.reads != 1+len(second.Spec.Chunks) {
		t.Errorf("%d reads, %v", s.reads, err)
	}
}

func TestLibraryRefuses(t *testing.T) {
	s := &shop{chunks: map[string][]byte{}}
	object := large(t, s, "one", 50000, nil)
	name := object.Spec.Chunks[2]
	packed := s.chunks[name]

	delete(s.chunks, name)
	_, err := newLibrary(s, func(int) {}).revision(t.Context(), object)
	if err == nil || !strings.Contains(err.Error(), "chunk "+name+" is not there") || errors.Is(err, errInvalid) {
		t.Errorf("a missing chunk: %v", err)
	}
	s.chunks[name] = bytes.Clone(packed)
	s.chunks[name][50] ^= 1
	if _, err = newLibrary(s, func(int) {}).revision(t.Context(), object); err == nil || !strings.Contains(err.Error(), "altered") {
		t.Errorf("an altered chunk: %v", err)
	}
	s.chunks[name] = packed
	wrong := object.DeepCopy()
	wrong.Spec.Digest = "sha256:00"
	if _, err = newLibrary(s, func(int) {}).revision(t.Context(), wrong); !errors.Is(err, errInvalid) {
		t.Errorf("a wrong digest: %v", err)
	}
	wrong = object.DeepCopy()
	wrong.Spec.Chunks[0] = wrong.Spec.Chunks[1]
	if _, err = newLibrary(s, func(int) {}).revision(t.Context(), wrong); !errors.Is(err, errInvalid) {
		t.Errorf("the same chunk twice: %v", err)
	}
}
