// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package stores_test

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"sync"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/stores"
)

func prefix(bits uint32, address ...byte) []byte {
	return append(binary.NativeEndian.AppendUint32(nil, bits), address...)
}

// TestDeletedPrefix stores into a prefix while somebody deletes it: the one around it, which a look-up finds then
// and which holds the same, stays as it is.
func TestDeletedPrefix(t *testing.T) {
	m := create(t, bpf.CreateOpts{Type: bpf.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 4, Flags: bpf.NoPrealloc})
	around, within := prefix(8, 10, 0, 0, 0), prefix(16, 10, 1, 0, 0)
	old, value, got := bytes.Repeat([]byte{1}, 8), bytes.Repeat([]byte{2}, 8), make([]byte, 8)
	w := writer(t, m, []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0x0f}, bpf.Any)
	if w.Way() != stores.ByProgram {
		t.Fatal(w.Why())
	}
	if missing, err := w.Store(t.Context(), within, value); missing != 1 || err != nil {
		t.Fatalf("into a trie without elements: %d missing, %v", missing, err)
	}
	must(t, m.UpdateElem(around, old, bpf.Any))
	gone := 0
	for n := range 3000 {
		must(t, m.UpdateElem(within, old, bpf.Any))
		var others sync.WaitGroup
		others.Go(func() {
			for range n % 50 {
				runtime.Gosched()
			}
			if err := m.DeleteElem(within); err != nil {
				t.Error(err)
			}
		})
		missing, err := w.Store(t.Context(), within, value)
		others.Wait()
		if err != nil {
			t.Fatal(err)
		}
		gone += missing
		must(t, m.LookupElem(around, got))
		if !bytes.Equal(got, old) {
			t.Fatalf("after %d rounds the prefix around holds %x, want %x", n, got, old)
		}
	}
	t.Logf("deleted in time %d times of 3000", gone)
}
