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

// AppendCPUDifference appends what differs between two values of an element, by CPU if not all of them change in
// the same way. one appends what differs between two single values.
func AppendCPUDifference(dst, from, to []byte, size, cpus int, one func(dst, from, to []byte) []byte) []byte {
	was, same := CPUValues(from, size, cpus)
	is, also := CPUValues(to, size, cpus)
	switch {
	case cpus == 0:
		return one(dst, from, to)
	case same && also:
		return append(one(dst, was[0], is[0]), " on every CPU"...)
	}
	first := true
	for i := range cpus {
		a, b := was[min(i, len(was)-1)], is[min(i, len(is)-1)]
		if bytes.Equal(a, b) {
			continue
		}
		if !first {
			dst = append(dst, "; "...)
		}
		first = false
		dst = one(fmt.Appendf(dst, "cpu%d: ", i), a, b)
	}
	return dst
}
