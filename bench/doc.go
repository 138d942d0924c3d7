// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench measures internal/bpf against its peers on this machine's kernel, in one run: a raw
// bpf(2) loop that does nothing but the system calls, and the Map of github.com/cilium/ebpf. The
// contenders take turns in shuffled rounds, so that a machine whose speed drifts treats them alike;
// what is printed is the median over the rounds and the median of the ratios to the raw loop.
//
// Usage (as root): go run ./bench [-entries N] [-rounds N]
package main
