// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nodelock lets several processes work on the maps of one BPF file system: two agents that
// overlap in a rolling update, or the command line beside an agent.
//
// It is NOT for ordering work inside one process, and protects nothing from programs that don't ask
// for it.
package nodelock
