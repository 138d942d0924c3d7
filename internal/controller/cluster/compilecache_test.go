// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// source is a short name.
type source = compile.Source

func TestCompileCache(t *testing.T) {
	runs := 0
	var fails error
	c := newCompileCache(func(m *v1alpha1.BPFMap, in compile.Input) (*compile.Result, error) {
		if runs++; fails != nil {
			return nil, fails
		}
		return compile.Run(m, in)
	}, 1<<20)
	m := newMap("foo", 8, "a")
	sources := []source{{Index: 0, Name: "ConfigMap feed", Version: "1", Load: func() ([]byte, error) { return []byte("- {key: 7, value: b}\n"), nil }}}
	m.Spec.EntriesFrom = []v1alpha1.EntrySource{{ConfigMapRef: &v1alpha1.SourceRef{Name: "feed", Key: "x"}, Format: v1alpha1.SourceYAML}}
	compiles := func(why string, want int) compiled {
		t.Helper()
		got, rejected, err := c.compile(m, sources, nil, nil, time.Now)
		if err != nil || rejected != nil {
			t.Fatalf("%s: %+v, %v", why, rejected, err)
		}
		if runs != want || (got.fresh != nil) != (want == 1) {
			t.Errorf("%s: compiled %d times, fresh %t; want %d", why, runs, got.fresh != nil, want)
		}
		runs = 0
		return got
	}
	first := compiles("a new map", 1)
	again := compiles("the same again", 0)
	if first.identity != again.identity || first.digest != again.digest || first.stored.total != again.stored.total {
		t.Errorf("remembered as %+v, was %+v", again, first)
	}
	if object, _, err := again.objects(m, 3, nil); err != nil || object.Name != "foo-3" || object.Spec.Number != 3 || object.Spec.EntryCount != 2 || runs != 1 {
		t.Errorf("objects of what is remembered: %+v, %v after %d runs", object, err, runs)
	}
	runs = 0
	m.Generation++
	compiles("another generation", 1)
	sources[0].Version = "2"
	compiles("another version of a source", 1)
	sources[0].Err = errors.New("there is no ConfigMap feed")
	if _, rejected, err := c.compile(m, sources, nil, nil, time.Now); err != nil || rejected == nil || rejected.Reason != v1alpha1.ReasonInvalidSource {
		t.Errorf("a source that is missing: %+v, %v", rejected, err)
	}
	sources[0].Err, runs = nil, 0
	compiles("the source is back", 1)
	m.UID = "uid-another"
	compiles("another map of the name", 1)
	c.forget(key("foo"))
	compiles("a map that was forgotten", 1)

	// A source that can't be read for now isn't remembered, a rejection is, within its bound.
	m.Generation++
	fails = &compile.LoadError{Place: "spec.entriesFrom[0]", Err: errors.New("timeout")}
	for range 2 {
		if _, _, err := c.compile(m, sources, nil, nil, time.Now); !errors.Is(err, fails) {
			t.Errorf("%v, want %v", err, fails)
		}
	}
	if runs != 2 {
		t.Errorf("%d runs, want another try each time", runs)
	}
	fails, runs = errors.New(strings.Repeat("é", maxRejection)), 0
	for range 2 {
		if _, rejected, err := c.compile(m, sources, nil, nil, time.Now); err != nil || rejected == nil || len(rejected.Message) > maxRejection {
			t.Errorf("%v, %+v", err, rejected)
		}
	}
	if runs != 1 {
		t.Errorf("%d runs, want one", runs)
	}
}

// TestCompileCacheKeepsNoNamesOfTooMuch remembers of contents that can't be stored nothing but their size.
func TestCompileCacheKeepsNoNamesOfTooMuch(t *testing.T) {
	for bound, chunks := range map[int64]int{1 << 20: 8, 500_000: 0} {
		c := newCompileCache(compile.Run, bound)
		got, rejected, err := c.compile(newMap("foo", 1000, many(600, "x")...), nil, nil, nil, time.Now)
		if err != nil || rejected != nil || len(got.stored.chunks) != chunks || got.stored.total < 600_000 {
			t.Errorf("bound %d: %d chunks of %d bytes, %+v, %v; want %d", bound, len(got.stored.chunks), got.stored.total, rejected, err, chunks)
		}
	}
}

// TestIdentify is the same for what the API server gives back, and for the same contents in another place.
func TestIdentify(t *testing.T) {
	rev, err := compile.Compile(newMap("foo", 8, "a"))
	if err != nil {
		t.Fatal(err)
	}
	object, _ := revision.ToObjects(rev)
	id := identify(object.Spec)
	text, err := json.Marshal(object.Spec)
	if err != nil {
		t.Fatal(err)
	}
	var back v1alpha1.BPFMapRevisionSpec
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	back.Number, back.Entries, back.Chunks = 7, nil, []string{"a"}
	if identify(back) != id {
		t.Error("another number and place of the same contents count as a change")
	}
	back.Digest = "sha256:0"
	if identify(back) == id {
		t.Error("other contents count as the same")
	}
	back.Digest, back.MaxEntries = object.Spec.Digest, 7
	if identify(back) == id {
		t.Error("another capacity counts as the same")
	}
}

func TestKeyLists(t *testing.T) {
	l := newKeyLists()
	about := &metadata{}
	about.UID, about.ResourceVersion = "a", "1"
	if _, ok := l.get(about); ok {
		t.Error("keys of a ConfigMap that was never seen")
	}
	l.put(about, []string{"x", "y"})
	if keys, ok := l.get(about); !ok || len(keys) != 2 {
		t.Errorf("%v, %t, want x and y", keys, ok)
	}
	about.ResourceVersion = "2"
	if _, ok := l.get(about); ok {
		t.Error("keys of an older version")
	}
	l.put(about, []string{strings.Repeat("x", maxKeyListBytes+1)})
	if _, ok := l.get(about); ok {
		t.Error("a list over the bound is remembered")
	}
	for range maxKeyLists + 10 {
		about.UID += "a"
		l.put(about, []string{"x"})
	}
	if n := l.last.Len(); n > maxKeyLists {
		t.Errorf("%d lists are remembered, at most %d may", n, maxKeyLists)
	}
}
