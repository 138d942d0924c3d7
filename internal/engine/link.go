// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// stride is how many bytes one value of a shape takes on this node.
func stride(s revision.Shape, cpus int) int {
	if s.IsPerCPU() {
		return cpus * ((int(s.ValueSize) + 7) &^ 7)
	}
	return int(s.ValueSize)
}

// link turns a revision's entries into what this node's kernel takes: the values of per-CPU maps are
// spread over all possible CPUs.
func link(rev *revision.Revision, cpus int) (revision.Entries, error) {
	from := &rev.Entries
	if !rev.Shape.IsPerCPU() {
		return *from, nil
	}
	linked := revision.Entries{
		KeySize: from.KeySize, ValueSize: stride(rev.Shape, cpus), Len: from.Len, Keys: from.Keys,
		Values: make([]byte, from.Len*stride(rev.Shape, cpus)),
	}
	slot := linked.ValueSize / cpus
	for i := range from.Len {
		to := linked.Value(i)
		each, listed := from.PerCPU[i]
		if listed && len(each) != cpus*from.ValueSize {
			return revision.Entries{}, &Error{v1alpha1.NodeReasonInvalidRevision, fmt.Errorf(
				"entry %d lists the values of %d CPUs, this node has %d possible CPUs", i, len(each)/from.ValueSize, cpus)}
		}
		for cpu := range cpus {
			value := from.Value(i)
			if listed {
				value = each[cpu*from.ValueSize : (cpu+1)*from.ValueSize]
			}
			copy(to[cpu*slot:], value)
		}
	}
	return linked, nil
}
