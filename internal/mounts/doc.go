// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mounts tells when file systems are mounted or unmounted where this process looks, and by which
// paths a process in a container reaches those of its node.
//
// Out of scope: mounting anything, and what a file system holds.
package mounts
