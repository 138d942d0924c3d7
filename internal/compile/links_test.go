// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
)

// TestLinksOfSources keeps the names of sources that come from the cache, and forgets those of a source
// that names them no longer.
func TestLinksOfSources(t *testing.T) {
	m := &v1alpha1.BPFMap{}
	m.Namespace, m.Name = "edge", "limits"
	spec := `{type: Hash, key: {type: ifindex}, value: {type: u32}, maxEntries: 64, entries: [{key: eth0, value: 1}],
		entriesFrom: [{configMapRef: {name: a, key: a}, format: Lines, value: 5}, {configMapRef: {name: b, key: b}, format: Lines, value: 6}]}`
	if err := yaml.UnmarshalStrict([]byte(spec), &m.Spec); err != nil {
		t.Fatal(err)
	}
	cache := compile.NewCache()
	links := func(a, b string) (names []string, digest string) {
		t.Helper()
		var sources []compile.Source
		for i, text := range []string{a, b} {
			sources = append(sources, compile.Source{Index: i, Name: fmt.Sprint(i), Version: text, Load: func() ([]byte, error) { return []byte(text), nil }})
		}
		rev, err := compile.With(m, sources, cache)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range rev.References {
			names = append(names, l.Name)
		}
		return names, rev.Digest
	}
	first, digest := links("eth1\n", "eth2\neth3\n")
	if want := []string{"eth0", "eth1", "eth2", "eth3"}; !slices.Equal(first, want) {
		t.Errorf("links %v, want %v", first, want)
	}
	if again, same := links("eth1\n", "eth2\neth3\n"); !slices.Equal(again, first) || same != digest {
		t.Errorf("from the cache: links %v, digest %s, want %v and %s", again, same, first, digest)
	}
	if fewer, _ := links("eth1\n", "eth3\n"); !slices.Equal(fewer, []string{"eth0", "eth1", "eth3"}) {
		t.Errorf("links %v", fewer)
	}
	// Where an entry is from doesn't matter.
	if _, same := links("eth1\neth2\n", "eth3\n"); same == digest {
		t.Error("eth2 has another value, and the digest is the same")
	}
}

// TestTooManyLinks names the bound.
func TestTooManyLinks(t *testing.T) {
	m := &v1alpha1.BPFMap{}
	m.Namespace, m.Name = "edge", "limits"
	m.Spec = v1alpha1.BPFMapSpec{
		Type: v1alpha1.MapTypeHash, MaxEntries: 2 * v1alpha1.MaxReferences, Key: &v1alpha1.Schema{Type: v1alpha1.TypeIfindex}, Value: v1alpha1.Schema{Type: v1alpha1.TypeU32},
	}
	for i := range v1alpha1.MaxReferences + 1 {
		m.Spec.Entries = append(m.Spec.Entries, v1alpha1.Entry{Key: raw(fmt.Sprintf("%q", fmt.Sprintf("eth%d", i))), Value: raw("1")})
	}
	_, err := compile.Compile(m)
	if err == nil || !strings.Contains(err.Error(), "reference more than 1024 interfaces, maps, programs and cgroups, at most 1024 are allowed") {
		t.Errorf("%v", err)
	}
	m.Spec.Entries = m.Spec.Entries[1:]
	if _, err := compile.Compile(m); err != nil {
		t.Error(err)
	}
}
