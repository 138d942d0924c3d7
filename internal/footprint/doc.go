// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package footprint estimates how much kernel memory a map takes, from its shape and before it exists.
// The figures follow from the layout of the kernel's maps (kernel/bpf of Linux 6.18) and are held
// against a kernel by the package's tests. They err on the high side.
//
// Out of scope: what a map may take (quota), asking the kernel (bpf), and which layout a type has
// (maptype).
package footprint
