// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision_test

import (
	"bytes"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// FuzzUnpack reads anything without panicking, and packs what it could read to the same bytes.
func FuzzUnpack(f *testing.F) {
	e := revision.Entries{KeySize: 2, ValueSize: 3}
	e.Append([]byte{1, 2}, []byte{3, 4, 5}, false)
	e.Append([]byte{1, 3}, []byte{3, 4, 5, 6, 7, 8}, true)
	f.Add(e.Pack())
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := revision.Unpack(b)
		if err != nil {
			return
		}
		if again := got.Pack(); !bytes.Equal(again, b) {
			t.Errorf("%x was read and packed to %x", b, again)
		}
	})
}
