// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package quota holds what maps may take of a node's kernel memory, and refuses before a map is made.
//
// Out of scope: estimates (footprint), and reading the kernel (engine/kernel, cgroup).
package quota
