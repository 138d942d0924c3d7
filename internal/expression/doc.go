// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package expression compiles expressions in CEL over an item of a source and evaluates them, within bounds: what they
// cost is limited for each item and for all of them together, and so is what they make.
//
// Out of scope: what items are (source), and what the results mean (compile, schema).
package expression
