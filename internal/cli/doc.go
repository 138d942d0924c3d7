// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line: it reads flags, puts the parts together, and prints.
//
// It is NOT for deciding anything about maps: every command runs the same compiler and engine that the
// controller and the agent run.
package cli
