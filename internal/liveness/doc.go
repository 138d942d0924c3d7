// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package liveness says whether what a node's agent reported still tells what the node's kernel holds. It asks
// the Node, the agent's pods and the DaemonSet that makes them, which have heartbeats already, and is pure:
// objects and a time in, verdict out.
//
// Out of scope: watching Nodes and pods (controller/cluster), and what follows for a map (status, rollout).
package liveness
