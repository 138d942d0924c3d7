// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package schema turns typed keys and values into the bytes that the kernel takes, and back: scalars,
// C structs with the C ABI's layout, arrays.
//
// Out of scope: maps as a whole. Which schema suits which map type, duplicates and limits are
// internal/compile's.
package schema
