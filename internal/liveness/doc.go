// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package liveness says whether what a node's agent reported still tells what the node's kernel holds. It asks
// the Node and the agent's pod, which have heartbeats already, and is pure: objects in, verdict out.
//
// Out of scope: watching Nodes and pods (controller/cluster), and what follows for a map (status, rollout).
package liveness
