// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package stores

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// TestWords says how values of some layouts are stored.
func TestWords(t *testing.T) {
	const f = 0xff
	for _, c := range []struct {
		name  string
		v     value
		words string
	}{
		{"all of a word", value{[]byte{f, f, f, f, f, f, f, f}, 8, -1}, "0+8 whole"},
		{"a field of each size", value{[]byte{0, f, f, f, f, f, f, f, 0, 0, 0, 0, f, f, f, f}, 8, -1}, "1+1 whole, 2+2 whole, 4+4 whole, 12+4 whole"},
		{"nothing", value{make([]byte, 24), 8, -1}, ""},
		{"bits of a byte", value{[]byte{0, 0, 3, 0, 0, 0, 0, 0}, 8, -1}, "0+8 atomic"},
		{"bits across bytes", value{[]byte{0, 0, 0, 0, 0xf0, f, 0, 0}, 8, -1}, "0+8 atomic"},
		{"bits in a value of 4 bytes", value{[]byte{0, 0, 3, 0}, 8, -1}, "0+4 atomic"},
		{"bits in the last bytes", value{[]byte{f, f, f, f, f, f, f, f, 0, 0, 0, 3}, 8, -1}, "0+8 whole, 8+4 atomic"},
		{"bits where no word fits", value{[]byte{f, f, f, f, f, 3}, 8, -1}, "0+4 whole, 4+1 whole, 5+1 plain"},
		{"bits behind a prefix of 4 bytes", value{[]byte{f, f, f, f, f, f, f, f, 3, 0, 0, 0, 0, 0, 0, 0}, 4, -1}, "0+4 whole, 4+4 whole, 8+4 atomic"},
		{"bits behind a prefix of 3 bytes", value{[]byte{f, f, 3, 0}, 1, -1}, "0+1 whole, 1+1 whole, 2+1 plain"},
		{"bits beside a lock", value{[]byte{0, 0, 0, 0, 3, 0, 0, 0}, 8, 0}, "4+4 atomic"},
		{"bits before a lock", value{[]byte{f, 3, 0, 0, 0, 0, 0, 0}, 8, 4}, "0+4 atomic"},
	} {
		var all []string
		for _, p := range c.v.pieces() {
			for _, w := range p.words {
				all = append(all, fmt.Sprintf("%d+%d %s", w.at, w.size, []string{"whole", "atomic", "plain"}[w.how]))
				if part := c.v.mask[w.at : w.at+w.size]; number(part) != w.bits {
					t.Errorf("%s: the bits at %d are %x, want %x", c.name, w.at, w.bits, part)
				}
			}
		}
		if got := strings.Join(all, ", "); got != c.words {
			t.Errorf("%s: %s, want %s", c.name, got, c.words)
		}
	}
}

// TestPiecesAreBounded wants programs that the kernel can jump through, whatever the mask.
func TestPiecesAreBounded(t *testing.T) {
	for _, pattern := range [][]byte{{0xff}, {0xff, 0}, {3}, {0, 0, 0, 0, 0, 0, 0, 0, 3}} {
		v := value{mask: bytes.Repeat(pattern, 50000)[:50000], align: 1, lockAt: -1}
		all, stored := v.pieces(), 0
		for _, p := range all {
			c := code{piece: p, keySize: 4, records: 1, lockAt: -1, guarded: true}
			if n := len(c.program()); n > 1<<15-1 || p.to-p.from > pieceBytes || p.from%8 != 0 {
				t.Errorf("%x: a piece from %d to %d of %d instructions", pattern, p.from, p.to, n)
			}
			for _, w := range p.words {
				stored += w.size
			}
		}
		if want := len(v.mask) - bytes.Count(v.mask, []byte{0}); stored != want {
			t.Errorf("%x: %d bytes are stored, want %d", pattern, stored, want)
		}
	}
}

// TestAdding stores bits as kernels before Linux 5.12 have to: by adding differences, which carry nothing
// into others' bits.
func TestAdding(t *testing.T) {
	m, err := bpf.Create(bpf.CreateOpts{Type: bpf.Array, KeySize: 4, ValueSize: 12, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	mask := []byte{0x18, 0, 0, 0, 0, 0, 0x80, 0xff, 0xf0, 0xff, 0x01, 0}
	merger, err := m.NewMerger(mask, bpf.Any)
	if err != nil {
		t.Fatal(err)
	}
	w := &Writer{m: m, merger: merger}
	parts := value{mask: mask, align: 8, lockAt: -1}.pieces()
	if !has(parts, atomic) {
		t.Fatal("nothing is shared")
	}
	if err := w.tryPieces(parts, code{keySize: 4, lockAt: -1, add: true}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	w.store = w.batches
	others := []byte{0xe7, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0x0f, 0, 0xfe, 0xff}
	if err := m.UpdateElem(zeroKey, others, bpf.Any); err != nil {
		t.Fatal(err)
	}
	for n := range 1000 {
		v, want, got := make([]byte, 12), bytes.Clone(others), make([]byte, 12)
		for i := range v {
			v[i] = byte(n * (7*i + 13))
			want[i] |= v[i] & mask[i]
		}
		if missing, err := w.Store(t.Context(), zeroKey, v); missing != 0 || err != nil {
			t.Fatal(missing, err)
		}
		if err := m.LookupElem(zeroKey, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%x was stored, the element holds %x, want %x (%v)", v, got, want, err)
		}
	}
}
