// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster is the controller: it compiles each BPFMap into immutable revisions and folds what
// the nodes report into the BPFMap's status.
//
// Reconcile observes what the cache shows, and then takes steps in a fixed order: compile, plan (what is kept,
// and whether there is room), trim, revise, rollOut, retire. Each fills in its part of a scope; what a step
// ends with, and all that the others found out, becomes the status in the end. Nothing is deleted before the
// API server has confirmed that the cache isn't behind.
//
// Out of scope: nodes and kernels, which are the agents' (controller/agent); how a spec compiles (compile),
// how far a revision goes (rollout), and what a status says (status).
package cluster
