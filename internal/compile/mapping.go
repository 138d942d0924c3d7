// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// reading says how the keys of a source are written.
func (p *sourcePacker) reading(cells bool) schema.Reading {
	return schema.Reading{Cells: cells, Published: true, MaskHostBits: p.from.HostBits == v1alpha1.HostBitsMask}
}
