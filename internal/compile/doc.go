// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package compile turns a BPFMap into a revision: every default resolved, every rule checked, every
// entry packed, sorted and digested. It is pure.
//
// It is not for reading manifests (manifest), for the layout of single values (schema), or for
// anything that only a node knows (engine).
package compile
