// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package engine brings one map on one node to its revision. A run is a pipeline of four values: observe makes
// an Observation and only reads, plan.Decide makes the Plan and is pure, execute makes an Outcome and is the
// only one that changes the node, describe makes the Report and is pure. Every step may be the last one before
// a crash, or before the context ends; the next run continues from what the backend shows.
//
// Out of scope: system calls, which are behind Backend (kernel implements it over bpf(2), enginetest in
// memory, held to one contract), choosing revisions and publishing state (controller/agent).
package engine
