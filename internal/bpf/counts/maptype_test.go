// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package counts_test

import (
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// TestTable counts a map of each type that the table says is counted, and of no other.
func TestTable(t *testing.T) {
	tested := map[bpf.MapType]bool{}
	for _, o := range counted(t) {
		tested[o.Type] = true
	}
	for _, m := range maptype.All() {
		if isCounted := m.Count != maptype.NoCount; isCounted != tested[bpf.MapType(m.Number)] {
			t.Errorf("%s: the table says that it is counted: %t, it is tested: %t", m.Name, isCounted, !isCounted)
		}
	}
}
