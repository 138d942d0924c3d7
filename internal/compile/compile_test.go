// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
	"github.com/bpfmap-io/bpfmap-operator/test/golden"
)

// TestGood compiles every manifest of testdata/good and compares the dump of the revision.
func TestGood(t *testing.T) {
	compare(t, "testdata/good", func(t *testing.T, m *v1alpha1.BPFMap) string {
		rev, err := compile.Compile(m)
		if err != nil {
			t.Fatal(err)
		}
		return dump(t, rev)
	})
}

// TestBad compiles every manifest of testdata/bad and compares the error, which has to name the
// place, the value and the bound.
func TestBad(t *testing.T) {
	compare(t, "testdata/bad", func(t *testing.T, m *v1alpha1.BPFMap) string {
		_, err := compile.Compile(m)
		var e *compile.Error
		if !errors.As(err, &e) {
			t.Fatalf("not refused with a compile.Error: %v", err)
		}
		return e.Reason + "\n" + strings.ReplaceAll(e.Error(), "; ", "\n") + "\n"
	})
}

func compare(t *testing.T, dir string, run func(*testing.T, *v1alpha1.BPFMap) string) {
	manifests, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(manifests) == 0 {
		t.Fatalf("no manifests in %s: %v", dir, err)
	}
	for _, path := range manifests {
		t.Run(filepath.Base(path), func(t *testing.T) {
			got := run(t, read(t, path))
			file := strings.TrimSuffix(path, ".yaml") + ".golden"
			golden.Native(t, file, got)
		})
	}
}

func read(t testing.TB, path string) *v1alpha1.BPFMap {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := &v1alpha1.BPFMap{}
	if err := yaml.UnmarshalStrict(text, m); err != nil {
		t.Fatal(err)
	}
	return m
}

func dump(t *testing.T, rev *revision.Revision) string {
	t.Helper()
	if rev.Shape.ValueSize == 0 {
		return rev.Dump(nil, nil)
	}
	value, err := schema.New(&rev.ValueSchema)
	if err != nil {
		t.Fatal(err)
	}
	if rev.KeySchema == nil {
		return rev.Dump(nil, value)
	}
	key, err := schema.New(rev.KeySchema)
	if err != nil {
		t.Fatal(err)
	}
	return rev.Dump(key, value)
}

// many is a map of n entries in descending order of their keys.
func many(n int) *v1alpha1.BPFMap {
	m := &v1alpha1.BPFMap{}
	m.Namespace, m.Name = "edge", "many"
	m.Spec = v1alpha1.BPFMapSpec{
		Type: v1alpha1.MapTypeHash, MaxEntries: int64(n),
		Key: &v1alpha1.Schema{Type: v1alpha1.TypeU32}, Value: v1alpha1.Schema{Type: v1alpha1.TypeU64},
	}
	for i := range n {
		m.Spec.Entries = append(m.Spec.Entries, v1alpha1.Entry{
			Key: raw(fmt.Sprint(n - i)), Value: raw(fmt.Sprint(i)),
		})
	}
	return m
}

func raw(s string) *apiextensionsv1.JSON { return &apiextensionsv1.JSON{Raw: []byte(s)} }

func TestOneBadEntryInTenThousand(t *testing.T) {
	m := many(10_000)
	m.Spec.Entries[7654].Value = raw("-1")
	_, err := compile.Compile(m)
	const want = "spec.entries[7654].value: -1 is out of range for u64 (0…18446744073709551615)"
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

func TestManyBadEntriesAreCounted(t *testing.T) {
	m := many(100)
	for i := range m.Spec.Entries {
		m.Spec.Entries[i].Value = raw("-1")
	}
	_, err := compile.Compile(m)
	var e *compile.Error
	if !errors.As(err, &e) || e.Total != 100 || len(e.Problems) != 10 || !strings.HasSuffix(e.Error(), "; and 90 more") {
		t.Errorf("%v", err)
	}
}

func TestTooLarge(t *testing.T) {
	defer compile.SetMaxEntriesBytes(100_000)()
	_, err := compile.Compile(many(10_000))
	var e *compile.Error
	if !errors.As(err, &e) || e.Reason != v1alpha1.ReasonTooLarge {
		t.Fatalf("%v", err)
	}
	const want = "spec.entries: 10000 entries of 12 bytes each take 120000 bytes, more than the 100000 that one map may have"
	if err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

// TestChunks writes and reads a revision that is too large for one object.
func TestChunks(t *testing.T) {
	m := many(60_000)
	m.Spec.Value = v1alpha1.Schema{Type: v1alpha1.TypeU64, Length: 4}
	for i := range m.Spec.Entries {
		m.Spec.Entries[i].Value = raw("[1,2,3,4]")
	}
	rev, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	obj, chunks := revision.ToObjects(rev)
	if len(obj.Spec.Entries) != 0 || len(obj.Spec.Chunks) != 32 || len(chunks) != 32 {
		t.Fatalf("%d bytes inline, %d chunks", len(obj.Spec.Entries), len(obj.Spec.Chunks))
	}
	back, err := fromObject(rev)
	if err != nil || back.Digest != rev.Digest || back.Contents.Digest() != rev.Contents.Digest() {
		t.Errorf("what was read isn't what was written: %v", err)
	}
}

// TestOrderDoesNotMatter compiles the same entries in two orders.
func TestOrderDoesNotMatter(t *testing.T) {
	a, b := many(100), many(100)
	for i := range 50 {
		b.Spec.Entries[i], b.Spec.Entries[99-i] = b.Spec.Entries[99-i], b.Spec.Entries[i]
	}
	x, err := compile.Compile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := compile.Compile(b)
	if err != nil {
		t.Fatal(err)
	}
	if x.Digest != y.Digest || x.Fingerprint() != y.Fingerprint() {
		t.Errorf("digests %s and %s", x.Digest, y.Digest)
	}
}

// TestObjectRoundTrip stores every good manifest's revision as an API object and reads it back.
func TestObjectRoundTrip(t *testing.T) {
	manifests, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range manifests {
		rev, err := compile.Compile(read(t, path))
		if err != nil {
			t.Fatal(err)
		}
		rev.Name, rev.Number = rev.Key.Name+"-3", 3
		back, err := fromObject(rev)
		if err != nil {
			t.Fatal(err)
		}
		if dump(t, back) != dump(t, rev) || back.Fingerprint() != rev.Fingerprint() || back.Number != 3 || back.Key != rev.Key {
			t.Errorf("%s comes back as\n%s", path, dump(t, back))
		}
	}
}

func TestFromObjectRefusesWhatDoesNotFit(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.BPFMapRevisionSpec){
		"digest":   func(s *v1alpha1.BPFMapRevisionSpec) { s.Digest = "sha256:00" },
		"count":    func(s *v1alpha1.BPFMapRevisionSpec) { s.EntryCount++ },
		"key size": func(s *v1alpha1.BPFMapRevisionSpec) { s.KeySize++ },
		"cut":      func(s *v1alpha1.BPFMapRevisionSpec) { s.Entries = s.Entries[:len(s.Entries)-1] },
		"bit":      func(s *v1alpha1.BPFMapRevisionSpec) { s.Entries[40] ^= 1 },
		"mode":     func(s *v1alpha1.BPFMapRevisionSpec) { s.Pin.Mode = "7777" },
		"max":      func(s *v1alpha1.BPFMapRevisionSpec) { s.MaxEntries = 1 << 40 },
	} {
		rev, err := compile.Compile(many(10))
		if err != nil {
			t.Fatal(err)
		}
		obj, _ := revision.ToObjects(rev)
		change(&obj.Spec)
		if _, err := revision.FromObject(obj, nil); err == nil {
			t.Errorf("a changed %s is not refused", name)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	m := many(10_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := compile.Compile(m); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/entry")
}

// fromObject writes a revision as API objects and reads it again.
func fromObject(rev *revision.Revision) (*revision.Revision, error) {
	obj, chunks := revision.ToObjects(rev)
	var parts []*revision.Part
	for _, c := range chunks {
		part, err := revision.ReadPart(rev.Shape, c.Name(rev.Key.Name), c.Packed)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return revision.FromObject(obj, parts)
}
