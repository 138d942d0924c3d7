// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pinstore keeps managed maps in a BPF file system: their pins, and beside them, in
// bpfmap/_state, a second pin of each and its ownership record. Whoever looks sees each change as a
// whole or not at all.
//
// It is not for what maps hold (engine) nor for what a record says (record).
package pinstore
