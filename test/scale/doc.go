// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scale measures what the operator costs a cluster of many nodes: a real etcd and API server, the
// real controller in a process of its own, and agents that run here. Agents are the agent's own code on the
// engine's memory backend, as many as fit, and beyond that thin ones, which send the requests that the
// agent's code sends and do none of its work.
//
// Requests, refusals and writes are those that the API server counts, CPU time and memory those of the
// kernel, events and bytes of watches those that arrive at the agents' HTTP transport.
//
// Out of scope: kubelets, pods, and the kernel's maps. The times are those of one machine, on which
// everything runs at once; what can be compared are counts and CPU time.
package scale
