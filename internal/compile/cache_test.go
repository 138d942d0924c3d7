// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// TestCacheOfAFailingMap stays as large as it was after the last success, however often a good source
// changes beside a missing one.
func TestCacheOfAFailingMap(t *testing.T) {
	m, sources := specOf(t, "type: Hash\nkey: {type: u32}\nvalue: {type: u32}\nmaxEntries: 10\n"+
		"entriesFrom: [{configMapRef: {name: a, key: k}, format: Lines, value: 1}, {configMapRef: {name: b, key: k}, format: Lines, value: 1}]", []byte("1\n"))
	sources[1].Load = func() ([]byte, error) { return []byte("2\n"), nil }
	cache := compile.NewCache()
	sources[0].Version, sources[1].Version = "good", "good"
	if _, err := compile.With(m, sources, cache); err != nil {
		t.Fatal(err)
	}
	sources[1].Err = errors.New("not there")
	for i := range 100 {
		sources[0].Version = fmt.Sprint(i)
		if _, err := compile.With(m, sources, cache); err == nil {
			t.Fatal("compiled")
		}
		if n, _ := cache.Runs(); n > 3 {
			t.Fatalf("%d runs are kept after %d failures", n, i+1)
		}
	}
	sources[1].Err = nil
	sources[0].Version = "good"
	sources[0].Load = func() ([]byte, error) { return nil, errors.New("is read again") }
	if _, err := compile.With(m, sources, cache); err != nil {
		t.Errorf("what the last success used was forgotten: %v", err)
	}
	if n, _ := cache.Runs(); n != 2 {
		t.Errorf("%d runs are kept after a success", n)
	}
	cache.Forget(revision.Key{Namespace: m.Namespace, Name: m.Name})
	if n, bytes := cache.Runs(); n != 0 || bytes != 0 {
		t.Errorf("%d runs of %d bytes are kept of a forgotten map", n, bytes)
	}
}

// TestConcurrentMaps compiles maps at the same time that share a cache, while another worker forgets them.
func TestConcurrentMaps(t *testing.T) {
	cache := compile.NewCache()
	var work sync.WaitGroup
	for worker := range 4 {
		work.Go(func() {
			m, sources := specOf(t, "type: Hash\nkey: {type: u32}\nvalue: {type: u32}\nmaxEntries: 10\n"+from("Lines", ", value: 1"), nil)
			m.Name = fmt.Sprint("m", worker)
			for i := range 100 {
				sources[0].Version = fmt.Sprint(i / 2) // every other time it comes from the cache
				sources[0].Load = func() ([]byte, error) { return fmt.Appendln(nil, worker*1000+i/2), nil }
				rev, err := compile.With(m, sources, cache)
				if err != nil {
					t.Error(err)
					return
				}
				if got := binary.NativeEndian.Uint32(rev.Contents.Key(0)); rev.Contents.Len != 1 || got != uint32(worker*1000+i/2) {
					t.Errorf("map %d holds %d, want %d", worker, got, worker*1000+i/2)
				}
			}
		})
	}
	work.Go(func() {
		for i := range 400 {
			cache.Forget(revision.Key{Namespace: "edge", Name: fmt.Sprint("m", i%4)})
		}
	})
	work.Wait()
	for worker := range 4 {
		cache.Forget(revision.Key{Namespace: "edge", Name: fmt.Sprint("m", worker)})
	}
	if n, bytes := cache.Runs(); n != 0 || bytes != 0 {
		t.Errorf("%d runs of %d bytes are kept of forgotten maps", n, bytes)
	}
}

// TestCacheIsBounded over all maps: the runs that were used least recently go.
func TestCacheIsBounded(t *testing.T) {
	cache := compile.NewCache()
	var text strings.Builder
	for i := range 100 {
		fmt.Fprintln(&text, i)
	}
	for i := range 20 {
		m, sources := specOf(t, "type: Hash\nkey: {type: u32}\nvalue: {type: string, size: 100000}\nmaxEntries: 100\n"+from("Lines", ", value: x"), []byte(text.String()))
		m.Name = fmt.Sprint("m", i)
		sources[0].Version = "1"
		if _, err := compile.With(m, sources, cache); err != nil {
			t.Fatal(err)
		}
		if n, bytes := cache.Runs(); bytes > compile.MaxCacheBytes || n != min(i+1, 6) {
			t.Fatalf("%d runs of %d bytes are kept, at most %d are possible", n, bytes, compile.MaxCacheBytes)
		}
	}
}

// TestCacheKey reads a source again after every change of the spec that changes what it compiles to.
func TestCacheKey(t *testing.T) {
	spec := "type: Hash\nkey: {type: u32}\nvalue: {type: u32}\nmaxEntries: 10\n" + from("Lines", ", value: 1")
	for name, change := range map[string]func(*v1alpha1.BPFMapSpec){
		"type":              func(s *v1alpha1.BPFMapSpec) { s.Type = v1alpha1.MapTypeLRUHash },
		"key":               func(s *v1alpha1.BPFMapSpec) { s.Key = &v1alpha1.Schema{Type: v1alpha1.TypeBE32} },
		"value":             func(s *v1alpha1.BPFMapSpec) { s.Value = v1alpha1.Schema{Type: v1alpha1.TypeBE32} },
		"maxEntries":        func(s *v1alpha1.BPFMapSpec) { s.MaxEntries = 1 },
		"flags":             func(s *v1alpha1.BPFMapSpec) { s.Flags = []v1alpha1.MapFlag{v1alpha1.FlagNoPrealloc} },
		"conflictPolicy":    func(s *v1alpha1.BPFMapSpec) { s.ConflictPolicy = v1alpha1.ConflictLast },
		"allowEmptySources": func(s *v1alpha1.BPFMapSpec) { s.AllowEmptySources = true },
		"format": func(s *v1alpha1.BPFMapSpec) {
			s.EntriesFrom[0].Format, s.EntriesFrom[0].Value = v1alpha1.SourceJSON, nil
		},
		"value of the source": func(s *v1alpha1.BPFMapSpec) { s.EntriesFrom[0].Value = raw("2") },
	} {
		m, sources := specOf(t, spec, []byte("1\n2\n"))
		loads := 0
		load := sources[0].Load
		sources[0].Version = "1"
		sources[0].Load = func() ([]byte, error) { loads++; return load() }
		cache := compile.NewCache()
		for range 2 {
			if _, err := compile.With(m, sources, cache); err != nil || loads != 1 {
				t.Fatalf("%s: %v, %d loads", name, err, loads)
			}
		}
		change(&m.Spec)
		_, cached := compile.With(m, sources, cache)
		_, fresh := compile.With(m, sources, nil)
		if loads != 3 || fmt.Sprint(cached) != fmt.Sprint(fresh) {
			t.Errorf("%s: after a change %d loads, %v instead of %v", name, loads, cached, fresh)
		}
	}
}

// TestAllTexts bounds the sources of a map together, whether they come from the cache or not.
func TestAllTexts(t *testing.T) {
	defer compile.SetMaxTextBytes(3000)()
	m, sources := specOf(t, "type: Hash\nkey: {type: u32}\nvalue: {type: u32}\nmaxEntries: 10\nconflictPolicy: First\n"+
		"entriesFrom: [{configMapRef: {name: a, key: k}, format: Lines, value: 1}, {configMapRef: {name: b, key: k}, format: Lines, value: 1}]", []byte(strings.Repeat("1\n", 1000)))
	sources[0].Version, sources[1].Version = "1", "1"
	const want = "spec.entriesFrom[1] (feed): the sources of one map have more than 268435456 bytes together, once they are decompressed"
	cache := compile.NewCache()
	for range 3 {
		if _, err := compile.With(m, sources, cache); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
