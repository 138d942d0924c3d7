// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package revision is the compiled form of a BPFMap: a shape, policies and packed, sorted, digested
// entries. compile makes it, the API carries it, plan compares with it.
//
// Out of scope: typed values (schema), reading manifests (compile), and what only a node knows (engine).
package revision
