// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package field runs real programs with maps whose values they share with a declaration: Debian's xdp-filter, a rate
// limiter, and programs that count, with packets that come through or don't.
//
// Its tests need xdp-tools, clang, gcc, bpftool and libbpf's headers.
package field
