// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package counts asks the kernel how many elements a map holds, in the same time for ten elements and
// for a million. bpf(2) has no such command, but a program may ask: a few instructions are loaded with
// the map, run once, and gone.
//
// It is not for exact counts: that of a map that others write to meanwhile may be off by what they are
// doing. bpf.Map.Count reads all elements.
package counts
