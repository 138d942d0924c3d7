// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// contents is what a map holds, for the model that the differ is compared with.
type contents map[uint32]uint32

func (c contents) packed() (keys, values []byte) {
	for k, v := range c {
		keys, values = binary.BigEndian.AppendUint32(keys, k), binary.BigEndian.AppendUint32(values, v)
	}
	return keys, values
}

func (c contents) entries(shape revision.Shape) revision.Entries {
	e := revision.Entries{KeySize: 4, ValueSize: 4, Len: len(c)}
	e.Keys, e.Values = c.packed()
	sorted, _ := e.Sorted(shape)
	return sorted
}

func (c contents) flat(shape revision.Shape) *flat { return &flat{shape: shape, e: c.entries(shape)} }

func random(r *rand.Rand) contents {
	c := contents{}
	for range r.IntN(12) {
		c[r.Uint32N(16)] = r.Uint32N(3)
	}
	return c
}

// applyTo makes the changes.
func applyTo(c contents, d plan.Changes) {
	for _, set := range []*plan.Set{&d.Update, &d.Insert} {
		for i := range d.Ordered(set) {
			c[binary.BigEndian.Uint32(d.Contents.Key(i))] = binary.BigEndian.Uint32(d.Contents.AppendValue(nil, i))
		}
	}
	for k := d.Delete; len(k) > 0; k = k[4:] {
		delete(c, binary.BigEndian.Uint32(k))
	}
}

// TestDifferAgainstModel applies the changes of random contents and compares with what the policies
// mean, in one sentence each.
func TestDifferAgainstModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	shape := revision.Shape{Type: v1alpha1.MapTypeHash, KeySize: 4, ValueSize: 4, MaxEntries: 100}
	for round := range 3000 {
		have, declared, owned := random(r), random(r), random(r)
		sync := []v1alpha1.SyncPolicy{v1alpha1.SyncMerge, v1alpha1.SyncMirror}[round%2]
		want := contents{}
		for k, v := range have {
			if _, ours := owned[k]; sync == v1alpha1.SyncMerge && !ours {
				want[k] = v // somebody else's stays
			}
		}
		for k, v := range declared {
			want[k] = v
		}
		d := plan.NewDiffer(plan.DesiredContents{Shape: shape, Sync: sync, Contents: declared.flat(shape), Owned: keys{owned.entries(shape).Keys, 4}}, 0)
		packed, values := have.packed()
		half := len(packed) / 8 * 4
		d.Observe(packed[:half], values[:half])
		d.Observe(packed[half:], values[half:])
		if round%3 == 0 { // an iteration that started over
			d.Observe(packed[:half], values[:half])
		}
		changes := d.Changes(true)
		got := contents{}
		for k, v := range have {
			got[k] = v
		}
		applyTo(got, changes)
		if len(got) != len(want) {
			t.Fatalf("round %d (%s): %v by way of %s, want %v", round, sync, got, changes.Summary(), want)
		}
		for k, v := range want {
			if got[k] != v {
				t.Fatalf("round %d (%s): key %d is %d, want %d", round, sync, k, got[k], v)
			}
		}
		if changes.IsEmpty() != equal(have, want) {
			t.Fatalf("round %d (%s): empty %t, have %v, want %v", round, sync, changes.IsEmpty(), have, want)
		}
	}
}

func equal(a, b contents) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

// BenchmarkDiffer compares a map of 100,000 elements that is in sync.
func BenchmarkDiffer(b *testing.B) {
	const n = 100000
	shape := revision.Shape{Type: v1alpha1.MapTypeHash, KeySize: 4, ValueSize: 4, MaxEntries: n}
	c := contents{}
	for i := range uint32(n) {
		c[i] = i
	}
	keys, values := c.packed()
	want := plan.DesiredContents{Shape: shape, Sync: v1alpha1.SyncMirror, Contents: c.flat(shape)}
	b.ReportAllocs()
	for b.Loop() {
		d := plan.NewDiffer(want, 0)
		d.Observe(keys, values)
		if changes := d.Changes(true); !changes.IsEmpty() {
			b.Fatal(changes.Summary())
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
}
