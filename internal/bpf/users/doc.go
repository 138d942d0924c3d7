// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package users tells which programs of this kernel use which maps, and which maps are held by other maps. It
// looks at all programs and all maps at once, by two BPF iterators, which takes some milliseconds for a thousand
// of each, and opens none of them. Where the kernel has no iterators it goes from id to id.
//
// Out of scope: which processes have a map open, and what follows for a BPFMap (package status).
package users
