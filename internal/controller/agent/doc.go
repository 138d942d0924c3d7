// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package agent runs on every node: it picks the revision of each map that is for this node, lets the
// engine bring the kernel there, and publishes what came of it as the node's BPFNodeState.
//
// It is not for what is done to a map (engine) nor for the kernel, which it knows as a Host.
package agent
