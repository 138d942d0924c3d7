// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package agent runs on every node: it picks the revision of each map that is for this node, lets the
// engine bring the kernel there, and publishes the result as the node's BPFNodeState.
//
// Who calls whom:
//
//	watches of revisions, Node      watch of interfaces       nodeReadiness (probes the Host)
//	            │                           │                        │
//	            ▼                           ▼                        ▼
//	          mapQueue ◄────────────────────┴────────────────── agent.onReadiness
//	            │  ▲                                                 │
//	            ▼  │ maps that refer to it, maps that were refused   │
//	         reconciler ──► nodeReadiness.current, recheck           │
//	            ├─────────► checks (when is a comparison due?)       │
//	            ├─────────► revisionLoader ──► API server            │
//	            ├─────────► Engine                                   │
//	            ├─────────► eventEmitter ──► API server              ▼
//	            └─────────► nodeState ◄──────────────────── readiness, facts, inventory
//	                           │ trigger
//	                           ▼
//	                        publisher ──► API server: BPFNodeState
//
// Out of scope: what is done to a map (engine), and the kernel, which this package knows as a Host.
package agent
