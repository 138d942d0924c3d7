// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package stores writes some bits of the values of a map while programs write the others. The system calls
// write whole values: what a program counted between reading and writing one would be lost. So a small
// program is made for a map and the bits, which looks elements up and stores only those; it is run in the
// kernel through BPF_PROG_TEST_RUN, many elements in one call. Where the kernel doesn't take the program,
// whole values are read and written, and Stored says so.
//
// Out of scope: elements that aren't there, and types whose values aren't read as they are written.
package stores
