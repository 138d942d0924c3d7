// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package why answers why a BPFMap isn't Ready, and why a node has what it has of it: a chain of causes in sentences, each
// with what it was seen by. It is pure: it goes by the objects that it is given, and says which of them it lacks.
//
// Out of scope: reading them from a cluster (plugin), and what to do about a reason (advice).
package why
