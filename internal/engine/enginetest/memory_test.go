// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
)

func TestMemoryContract(t *testing.T) {
	RunContract(t, func(t *testing.T) engine.Backend {
		b := NewMemory()
		t.Cleanup(func() {
			if n := b.OpenHandles(); n != 0 {
				t.Errorf("%d handles are open", n)
			}
		})
		return b
	})
}
