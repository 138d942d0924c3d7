// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// manyEntries is a Hash of many entries by a 32-bit number, whose values begin with first.
type manyEntries struct {
	n, value int
	first    byte
	room     int // maxEntries; n if 0
}

func (j *manyEntries) revision(t *testing.T) *revision.Revision {
	t.Helper()
	r := rev(t, fmt.Sprintf("{type: Hash, key: {type: u32}, value: {type: bytes, size: %d}, maxEntries: %d}", j.value, max(j.n, j.room)))
	e := revision.Entries{KeySize: 4, ValueSize: j.value}
	value := append([]byte{j.first}, make([]byte, j.value-1)...)
	for i := range j.n {
		e.Append(binary.BigEndian.AppendUint32(nil, uint32(i)), value, false)
	}
	var err error
	if r.Contents, err = revision.NewContents(r.Shape, &e); err != nil {
		t.Fatal(err)
	}
	r.Digest = r.ContentDigest()
	return r
}

// count is how many elements of a map have a value of j's.
func (j *manyEntries) count(w *world, m engine.Map) (n int) {
	w.Helper()
	if m == nil {
		return 0
	}
	_, err := m.Read(w.Context(), func(_, values []byte) {
		for ; len(values) > 0; values = values[j.value:] {
			if values[0] == j.first {
				n++
			}
		}
	})
	w.must(err)
	return n
}
