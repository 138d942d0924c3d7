// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package counts asks the kernel how many elements a map holds, in the same time for ten elements and
// for a million. bpf(2) has no such command, but a program may ask: a few instructions are loaded with
// the map, run once, and gone.
//
// Out of scope: exact counts. While a map is being written to, the count may be off by the writes in
// progress. bpf.Map.Count reads all elements.
package counts
