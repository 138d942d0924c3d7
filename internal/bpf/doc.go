// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bpf is libbpf's bpf_map_* family for Go: every operation on eBPF maps with its documented
// flags and errors, tested against the real kernel, and what a manager of maps needs around them: pins,
// information, batches, iteration, BTF.
//
// Handles are safe for concurrent use. Batches and iterations take a context, which they check between
// system calls; what one system call carries, and what an iteration allocates, is bounded in bytes.
//
// It builds on 64-bit architectures of either byte order: on 32-bit ones the pointers of bpf(2)'s
// attributes would have another layout, see sys.
//
// Out of scope: deciding what a map should hold (plan, engine), and loading programs.
package bpf
