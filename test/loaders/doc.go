// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package loaders holds the maps that this project makes to what the loaders of BPF programs expect:
// libbpf, cilium/ebpf and bpftool reuse a map of ours, we adopt a map of theirs, and both sides refuse
// what doesn't fit.
//
// Its tests compile a program with clang and a loader with gcc, and need libbpf's headers.
package loaders
