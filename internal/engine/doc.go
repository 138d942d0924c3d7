// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package engine brings one map on one node to its revision: it links the entries, observes, plans,
// applies, and reports. Every step may be the last one before a crash; the next run continues from
// what the backend shows.
//
// It is not for system calls: those are behind Backend, which kernel implements over bpf(2) and
// enginetest in memory, held to one contract. It is not for choosing revisions or publishing state
// (controller/agent).
package engine
