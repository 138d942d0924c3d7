// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cgroup reads the memory limits of this process's control groups, of version 1 and 2. Since Linux
// 5.11 the kernel charges a map's memory to them, and kills the process that goes over.
//
// Out of scope: making or changing control groups.
package cgroup
