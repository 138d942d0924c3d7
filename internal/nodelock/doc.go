// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nodelock locks directories for several processes: two agents that overlap in a rolling update,
// or the command line beside an agent.
//
// Out of scope: which directories are locked and for what (pinstore). A lock protects nothing from
// programs that don't ask for it.
package nodelock
