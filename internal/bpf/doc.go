// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bpf is libbpf's bpf_map_* family for Go: every operation on eBPF maps with its documented
// flags and errors, held against the real kernel, and what a manager of maps needs around them: pins,
// information, batches, iteration, BTF.
//
// It is not for deciding what a map should hold (plan, engine), nor for loading programs.
package bpf
