// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inventory is a list of this machine's maps: what the kernel says about each, where it is
// pinned, and which of them are managed.
//
// Out of scope: the contents of maps (cli/local), and whether records of ownership are valid (engine).
package inventory
