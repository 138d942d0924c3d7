// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pinstore keeps managed maps in a BPF file system: their pins, and in bpfmap/_state, for each, a
// KeepAlive pin, its ownership record and its declared keys; and beside these an index of which BPFMap
// claims a pin or a map. Each change is seen as a whole or not at all, and a crash between any two steps
// leaves what the next run puts right.
//
// Out of scope: what maps hold (engine), and what a record says (ownership).
package pinstore
