// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// large are n entries of 4+size bytes, with keys in no order.
func large(n, size int) (revision.Shape, revision.Entries) {
	shape := revision.Shape{Type: v1alpha1.MapTypeHash, KeySize: 4, ValueSize: uint32(size), MaxEntries: uint32(n)}
	e := revision.Entries{KeySize: 4, ValueSize: size}
	value := make([]byte, size)
	for i := range uint32(n) {
		binary.BigEndian.PutUint32(value, i)
		e.Append(binary.BigEndian.AppendUint32(nil, i*2654435761), value, false)
	}
	return shape, e
}

// checkContents checks everything that holds for the contents of any entries.
func checkContents(t *testing.T, shape revision.Shape, e *revision.Entries) revision.Contents {
	t.Helper()
	c := contents(t, shape, e)
	for n, p := range c.Parts() {
		if len(p.Packed) > v1alpha1.MaxChunkBytes {
			t.Errorf("part %d has %d bytes", n, len(p.Packed))
		}
	}
	back := readBack(t, shape, &c)
	if back.Digest() != c.Digest() || back.Len != e.Len {
		t.Errorf("%d entries came back as %d", e.Len, back.Len)
	}
	if changed, known := back.Changed(&c); shape.KeySize > 0 && (!known || len(changed) > 0) {
		t.Errorf("parts %v changed on the way (known: %t)", changed, known)
	}
	sorted, _ := e.Sorted(shape)
	for _, have := range []*revision.Contents{&c, &back} {
		if flat := have.Flat(shape); !bytes.Equal(flat.Pack(), sorted.Pack()) {
			t.Error("the entries in their order aren't those that were declared")
		}
		for n := range e.Len {
			if shape.IsKeyless() {
				break
			}
			if i, found := have.Find(shape, e.Key(n)); !found || !bytes.Equal(have.Key(i), e.Key(n)) || !bytes.Equal(have.Value(i), e.Value(n)) {
				t.Fatalf("key %x: index %d, found %t", e.Key(n), i, found)
			}
		}
	}
	return c
}

// TestLargeEntries: a part holds one entry of more than half its bound, or a few of less. They are cut into
// hardly more parts than they need.
func TestLargeEntries(t *testing.T) {
	for _, c := range []struct{ n, size, most int }{
		{60, 250_000, 60},
		{60, 140_000, 60},
		{60, 130_000, 30},
		{60, 70_000, 20},
		{1, 262_000, 2},
		{0, 250_000, 1},
	} {
		shape, e := large(c.n, c.size)
		have := checkContents(t, shape, &e)
		if n := len(have.Parts()); n > c.most {
			t.Errorf("%d entries of %d bytes are cut into %d parts, more than %d", c.n, c.size, n, c.most)
		}
		for _, absent := range []uint32{1, 1 << 31, 0xffffffff} {
			if _, found := have.Find(shape, binary.BigEndian.AppendUint32(nil, absent)); found {
				t.Errorf("key %d was found among %d entries of %d bytes", absent, c.n, c.size)
			}
		}
	}
}

// TestOneLargeEntryChangesOnePart: values don't move the borders between parts.
func TestOneLargeEntryChangesOnePart(t *testing.T) {
	shape, e := large(60, 130_000)
	before := contents(t, shape, &e)
	e.Value(17)[5] = 42
	after := contents(t, shape, &e)
	if changed, known := after.Changed(&before); !known || len(changed) != 1 || before.Digest() == after.Digest() {
		t.Errorf("%d of %d parts changed", len(changed), len(after.Parts()))
	}
}

// TestLargeEntriesOfAnyOrder: which way entries are cut, and where, follows from the set of them.
func TestLargeEntriesOfAnyOrder(t *testing.T) {
	shape, e := large(100, 130_000)
	shuffled := revision.Entries{KeySize: e.KeySize, ValueSize: e.ValueSize}
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(e.Len) {
		shuffled.Append(e.Key(i), e.Value(i), false)
	}
	a, b := contents(t, shape, &e), contents(t, shape, &shuffled)
	if a.Digest() != b.Digest() {
		t.Error("the order of the entries changes the digest")
	}
}

// TestFewLargePerCPU: entries of different sizes, of which the few large ones share parts with small ones.
func TestFewLargePerCPU(t *testing.T) {
	shape := revision.Shape{Type: v1alpha1.MapTypePerCPUHash, KeySize: 8, ValueSize: 8, MaxEntries: 1 << 20}
	e := revision.Entries{KeySize: 8, ValueSize: 8}
	for i := range uint64(5000) {
		key := binary.BigEndian.AppendUint64(nil, i)
		if i%50 == 0 {
			e.Append(key, bytes.Repeat([]byte{byte(i)}, 200_000), true)
			continue
		}
		e.Append(key, binary.BigEndian.AppendUint64(nil, i), false)
	}
	checkContents(t, shape, &e)
}

// TestLargeElementsWithoutKeys stay in their order.
func TestLargeElementsWithoutKeys(t *testing.T) {
	shape := revision.Shape{Type: v1alpha1.MapTypeQueue, ValueSize: 130_000, MaxEntries: 100}
	_, e := large(40, 130_000)
	e.Keys, e.KeySize = nil, 0
	c := checkContents(t, shape, &e)
	if flat := c.Flat(shape); !bytes.Equal(flat.Values, e.Values) {
		t.Error("a queue came back in another order")
	}
}

func TestRefusedLargeEntries(t *testing.T) {
	shape, e := large(100, 130_000)
	e.Append(e.Key(3), e.Value(4), false)
	if _, err := revision.NewContents(shape, &e); err == nil || !strings.Contains(err.Error(), "is declared twice") {
		t.Errorf("a key twice among large entries: %v", err)
	}
	shared := make([]byte, 240_000) // a gigabyte of values that share their memory
	many := revision.Entries{KeySize: 4, ValueSize: 1, PerCPU: map[int][]byte{}}
	for i := range uint32(4097) {
		many.Append(binary.BigEndian.AppendUint32(nil, i), []byte{0}, false)
		many.PerCPU[int(i)] = shared
	}
	shape = revision.Shape{Type: v1alpha1.MapTypePerCPUHash, KeySize: 4, ValueSize: 1, MaxEntries: 8192}
	want := "4097 entries of 4+1 bytes, 983333281 bytes in all, need 4097 parts of at most 262144 bytes, more than the 4096 that one map may have"
	if _, err := revision.NewContents(shape, &many); err == nil || err.Error() != want {
		t.Errorf("too much for all parts: %v", err)
	}
}

// TestRefusedOrderOfParts: parts of large entries are joined only in the order of their keys.
func TestRefusedOrderOfParts(t *testing.T) {
	shape, e := large(60, 130_000)
	c := contents(t, shape, &e)
	empty := revision.Entries{KeySize: 4, ValueSize: 130_000}
	nothing, err := revision.ReadPart(shape, "", empty.Pack())
	if err != nil {
		t.Fatal(err)
	}
	swapped := slices.Clone(c.Parts())
	swapped[3], swapped[4] = swapped[4], swapped[3]
	for name, parts := range map[string][]*revision.Part{
		"swapped":    swapped,
		"twice":      slices.Insert(slices.Clone(c.Parts()), 7, c.Parts()[6]),
		"none":       nil,
		"empty":      slices.Insert(slices.Clone(c.Parts()), 5, nothing),
		"empty last": append(slices.Clone(c.Parts()), nothing),
	} {
		if _, err := revision.JoinParts(shape, parts); err == nil {
			t.Errorf("%s: the parts are believed", name)
		}
	}
}
