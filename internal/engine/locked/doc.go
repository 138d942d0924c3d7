// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package locked lets several processes work on the maps of one BPF file system, each map by one of them at
// a time: an agent that is being replaced, its successor, and the command line.
//
// Out of scope: how a lock is taken (pinstore), and what is done under it (engine).
package locked
