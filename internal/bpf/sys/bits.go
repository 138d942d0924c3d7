// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !amd64 && !arm64 && !loong64 && !mips64 && !mips64le && !ppc64 && !ppc64le && !riscv64 && !s390x

package sys

// The kernel's attributes have 64-bit pointers on every architecture. Pointer is as wide as the
// architecture's, so it has their layout, with either byte order, on 64-bit architectures only; elsewhere
// every call would fail with EFAULT. The undefined name is the compiler's error message.
var _ = bpfmap_supports_only_64_bit_architectures
