// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package programfile tells the kernel which pages of the program's own file aren't in use. The start of a process
// touches most of them, the init function of each package some, and an idle one needs a tenth (ADR 0062).
//
// Out of scope: the heap.
package programfile
