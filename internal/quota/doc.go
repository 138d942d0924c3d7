// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package quota holds what maps may take of a node's kernel memory, and says no before a map is made.
//
// It is not for estimates (footprint) nor for reading the kernel (engine/kernel, cgroup).
package quota
