// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line: it reads flags, puts the parts together, and prints.
//
// Out of scope: decisions about maps, since every command runs the same compiler and engine that the
// controller and the agent run.
package cli
