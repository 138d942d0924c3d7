// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package compile turns a BPFMap into a revision: every default resolved, every rule checked, every
// entry packed, sorted and digested. It is pure.
//
// Compiling takes at most twice the packed size and 64 MiB of memory: every bound is checked before what
// it bounds is allocated (docs/adr/0017).
//
// Out of scope: reading manifests (manifest), the layout of single values (schema), and anything that
// only a node knows (engine).
package compile
