// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"fmt"
)

// CPUValues cuts what the kernel gives of an element of a per-CPU map into the CPUs' values of size bytes,
// without the padding to 8 bytes. It is one value if all are equal: same is true then, and for maps that are not per CPU,
// whose cpus is 0.
func CPUValues(value []byte, size, cpus int) (values [][]byte, same bool) {
	if cpus == 0 {
		return [][]byte{value}, true
	}
	stride := (size + 7) &^ 7
	same = true
	for i := range cpus {
		values = append(values, value[i*stride:i*stride+size])
		same = same && bytes.Equal(values[0], values[i])
	}
	if same {
		values = values[:1]
	}
	return values, same
}

// AppendCPUs appends an element's value in a compact form for people: one value, or those of all CPUs as the
// kernel gives them. one appends a single value.
func AppendCPUs(dst, value []byte, size, cpus int, one func(dst, b []byte) []byte) []byte {
	values, same := CPUValues(value, size, cpus)
	switch {
	case cpus == 0:
		return one(dst, value)
	case same:
		return append(one(dst, values[0]), " on every CPU"...)
	}
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = one(fmt.Appendf(dst, "cpu%d: ", i), v)
	}
	return dst
}
