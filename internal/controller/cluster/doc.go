// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster is the controller: it compiles each BPFMap into immutable revisions and folds what
// the nodes report into the BPFMap's status.
//
// It is NOT allowed near a node or a kernel: agents do that (controller/agent). How a spec compiles is
// compile's business, what a status says is status's.
package cluster
