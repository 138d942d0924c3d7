// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

var hashShape = revision.Shape{Type: v1alpha1.MapTypeHash, KeySize: 8, ValueSize: 8, MaxEntries: 1 << 20}

// numbers are n sorted entries of 16 bytes.
func numbers(n int) revision.Entries {
	e := revision.Entries{KeySize: 8, ValueSize: 8}
	for i := range uint64(n) {
		e.Append(binary.BigEndian.AppendUint64(nil, i), binary.BigEndian.AppendUint64(nil, i*i), false)
	}
	return e
}

func contents(t testing.TB, shape revision.Shape, e *revision.Entries) revision.Contents {
	t.Helper()
	c, err := revision.NewContents(shape, e)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// readBack reads the parts of contents as those of another process would be read.
func readBack(t testing.TB, shape revision.Shape, c *revision.Contents) revision.Contents {
	t.Helper()
	var parts []*revision.Part
	for _, p := range c.Parts() {
		part, err := revision.ReadPart(shape, p.Name("table"), bytes.Clone(p.Packed))
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, part)
	}
	back, err := revision.JoinParts(shape, parts)
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func TestContentsAndBack(t *testing.T) {
	for _, n := range []int{0, 1, 1000, 8191, 8192, 100000} {
		e := numbers(n)
		c := contents(t, hashShape, &e)
		for _, p := range c.Parts() {
			if len(p.Packed) > v1alpha1.MaxChunkBytes {
				t.Errorf("%d entries: a part of %d bytes", n, len(p.Packed))
			}
		}
		back := readBack(t, hashShape, &c)
		flat := back.Flat(hashShape)
		if back.Len != n || !bytes.Equal(flat.Pack(), e.Pack()) || back.Digest() != c.Digest() {
			t.Errorf("%d entries came back as %d", n, back.Len)
		}
		if size := back.PackedSize(); size < n*16 || size > n*16+20*len(back.Parts()) {
			t.Errorf("%d entries are told to take %d bytes", n, size)
		}
	}
}

// TestContentsOfAnyOrder: contents follow from the set of entries, not from their order.
func TestContentsOfAnyOrder(t *testing.T) {
	sorted := numbers(30000)
	shuffled := revision.Entries{KeySize: 8, ValueSize: 8}
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(sorted.Len) {
		shuffled.Append(sorted.Key(i), sorted.Value(i), false)
	}
	a, b := contents(t, hashShape, &sorted), contents(t, hashShape, &shuffled)
	if a.Digest() != b.Digest() {
		t.Error("the order of the entries changes the digest")
	}
	if changed, known := a.Changed(&b); !known || len(changed) > 0 {
		t.Errorf("parts %v differ", changed)
	}
}

// TestFind finds every key through all parts, and no other.
func TestFind(t *testing.T) {
	e := numbers(50000)
	c := contents(t, hashShape, &e)
	if len(c.Parts()) < 4 {
		t.Fatalf("%d parts: too few for this test", len(c.Parts()))
	}
	seen := map[int]bool{}
	for n := range uint64(50000) {
		key := binary.BigEndian.AppendUint64(nil, n)
		i, found := c.Find(hashShape, key)
		if !found || !bytes.Equal(c.Key(i), key) || !bytes.Equal(c.Value(i), e.Value(int(n))) || seen[i] {
			t.Fatalf("key %d: index %d, found %t", n, i, found)
		}
		seen[i] = true
	}
	if _, found := c.Find(hashShape, binary.BigEndian.AppendUint64(nil, 50000)); found {
		t.Error("a key was found that isn't there")
	}
	empty := revision.Contents{}
	if _, found := empty.Find(hashShape, make([]byte, 8)); found {
		t.Error("a key was found in nothing")
	}
}

// TestInOrder walks over tries by address, through all parts.
func TestInOrder(t *testing.T) {
	shape := revision.Shape{Type: v1alpha1.MapTypeLPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 1 << 20}
	e := revision.Entries{KeySize: 8, ValueSize: 8}
	for i := range uint32(40000) {
		key := binary.BigEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, 32), i*2654435761)
		e.Append(key, make([]byte, 8), false)
	}
	c := contents(t, shape, &e)
	n := 0
	var last []byte
	for i := range c.InOrder(shape) {
		if last != nil && shape.CompareKeys(last, c.Key(i)) >= 0 {
			t.Fatalf("entry %d is out of order", n)
		}
		last = c.Key(i)
		n++
	}
	if n != e.Len {
		t.Errorf("%d of %d entries", n, e.Len)
	}
	for range c.InOrder(shape) {
		break // ends without a panic
	}
}

// TestOneEntryChangesOnePart is what parts are for.
func TestOneEntryChangesOnePart(t *testing.T) {
	e := numbers(100000)
	before := contents(t, hashShape, &e)
	binary.BigEndian.PutUint64(e.Value(4711), 42)
	after := contents(t, hashShape, &e)
	added := numbers(100001)
	binary.BigEndian.PutUint64(added.Value(4711), 42)
	more := contents(t, hashShape, &added)
	for _, c := range []struct{ a, b revision.Contents }{{before, after}, {after, more}} {
		changed, known := c.b.Changed(&c.a)
		if !known || len(changed) != 1 || c.a.Digest() == c.b.Digest() {
			t.Errorf("%d of %d parts changed", len(changed), len(c.b.Parts()))
		}
	}
	small := numbers(10)
	other := contents(t, hashShape, &small)
	if _, known := before.Changed(&other); known {
		t.Error("contents that are cut in another way were compared by their parts")
	}
}

// TestSharedPartsCostNothing: of a million entries, one change allocates what its part takes.
func TestSharedPartsCostNothing(t *testing.T) {
	e := numbers(1 << 20)
	before := contents(t, hashShape, &e)
	binary.BigEndian.PutUint64(e.Value(4711), 42)
	after := contents(t, hashShape, &e)
	changed, _ := after.Changed(&before)
	name, packed := after.Parts()[changed[0]].Name("table"), bytes.Clone(after.Parts()[changed[0]].Packed)

	var start, end runtime.MemStats
	runtime.ReadMemStats(&start)
	part, err := revision.ReadPart(hashShape, name, packed)
	if err != nil {
		t.Fatal(err)
	}
	parts := slices.Clone(before.Parts())
	parts[changed[0]] = part
	joined, err := revision.JoinParts(hashShape, parts)
	runtime.ReadMemStats(&end)
	if err != nil || joined.Digest() != after.Digest() {
		t.Errorf("the changed contents were not read (%v)", err)
	}
	if n := end.TotalAlloc - start.TotalAlloc; n > 64<<10 {
		t.Errorf("reading one changed part of %d allocated %d bytes", len(parts), n)
	}
}

func TestOrderWithoutKeys(t *testing.T) {
	queue := revision.Shape{Type: v1alpha1.MapTypeQueue, ValueSize: 8}
	e := revision.Entries{ValueSize: 8}
	for i := range uint64(50000) {
		e.Append(nil, binary.BigEndian.AppendUint64(nil, i^0x5555), false)
	}
	c := contents(t, queue, &e)
	back := readBack(t, queue, &c)
	if flat := back.Flat(queue); !bytes.Equal(flat.Values, e.Values) {
		t.Error("a queue came back in another order")
	}
}

func TestContentsPerCPU(t *testing.T) {
	e := revision.Entries{KeySize: 8, ValueSize: 8}
	for i := range uint64(30000) {
		e.Append(binary.BigEndian.AppendUint64(nil, i), bytes.Repeat([]byte{byte(i)}, 16), true)
	}
	c := contents(t, hashShape, &e)
	back := readBack(t, hashShape, &c)
	if flat := back.Flat(hashShape); !bytes.Equal(flat.Pack(), e.Pack()) {
		t.Error("per-CPU values got lost")
	}
}

func TestRefusedContents(t *testing.T) {
	huge := revision.Entries{KeySize: 8, ValueSize: 300 << 10}
	huge.Append(make([]byte, 8), make([]byte, 300<<10), false)
	twice := numbers(3)
	twice.Append(twice.Key(1), twice.Value(2), false)
	for name, c := range map[string]struct {
		entries *revision.Entries
		says    string
	}{
		"an entry larger than a part": {&huge, "larger than a part may be, 262144"},
		"a key twice":                 {&twice, "key 0000000000000001 is declared twice"},
	} {
		if _, err := revision.NewContents(hashShape, c.entries); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRefusedParts: parts from elsewhere are read only if they are what they claim to be.
func TestRefusedParts(t *testing.T) {
	e := numbers(20000)
	c := contents(t, hashShape, &e)
	first := c.Parts()[0]
	altered := bytes.Clone(first.Packed)
	altered[40] ^= 1
	unsorted := revision.Entries{KeySize: 8, ValueSize: 8}
	unsorted.Append(e.Key(1), e.Value(1), false)
	unsorted.Append(e.Key(0), e.Value(0), false)
	twice := revision.Entries{KeySize: 8, ValueSize: 8}
	twice.Append(e.Key(0), e.Value(0), false)
	twice.Append(e.Key(0), e.Value(1), false)
	trie, array := hashShape, hashShape
	trie.Type, trie.KeySize = v1alpha1.MapTypeLPMTrie, 2
	array.Type, array.KeySize = v1alpha1.MapTypeArray, 2
	short, wide := revision.Entries{KeySize: 2, ValueSize: 8}, revision.Entries{KeySize: 8, ValueSize: 16}
	for name, try := range map[string]func() (*revision.Part, error){
		"altered":                 func() (*revision.Part, error) { return revision.ReadPart(hashShape, first.Name("table"), altered) },
		"a name without a digest": func() (*revision.Part, error) { return revision.ReadPart(hashShape, "nodash", first.Packed) },
		"out of order":            func() (*revision.Part, error) { return revision.ReadPart(hashShape, "", unsorted.Pack()) },
		"a key twice":             func() (*revision.Part, error) { return revision.ReadPart(hashShape, "", twice.Pack()) },
		"keys of another size":    func() (*revision.Part, error) { return revision.ReadPart(hashShape, "", short.Pack()) },
		"values of another size":  func() (*revision.Part, error) { return revision.ReadPart(hashShape, "", wide.Pack()) },
		"a trie of short keys":    func() (*revision.Part, error) { return revision.ReadPart(trie, "", short.Pack()) },
		"an array of short keys":  func() (*revision.Part, error) { return revision.ReadPart(array, "", short.Pack()) },
	} {
		if _, err := try(); err == nil {
			t.Errorf("%s: the part is believed", name)
		}
	}
	swapped := slices.Clone(c.Parts())
	swapped[0], swapped[1] = swapped[1], swapped[0]
	if _, err := revision.JoinParts(hashShape, swapped); err == nil {
		t.Error("parts in the wrong places are believed")
	}
	if _, err := revision.JoinParts(hashShape, append(slices.Clone(c.Parts()), first)); err == nil {
		t.Error("a number of parts that is not a power of two is believed")
	}
}

// BenchmarkContents sorts and cuts a million entries.
func BenchmarkContents(b *testing.B) {
	e := numbers(1 << 20)
	for b.Loop() {
		contents(b, hashShape, &e)
	}
}

// BenchmarkInOrder walks over a million entries in their order.
func BenchmarkInOrder(b *testing.B) {
	e := numbers(1 << 20)
	c := contents(b, hashShape, &e)
	for b.Loop() {
		for range c.InOrder(hashShape) {
		}
	}
}
