// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package overview is how a BPFMap is on its nodes, for people and programs: made of its status and of what the nodes
// report, with advice. It is pure.
//
// Out of scope: why it is so (why), and reading it from a cluster (plugin).
package overview
