// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plugin is kubectl bpfmap: commands that look at and change BPFMaps of a cluster from a desk, through the
// API server and with the caller's own rights.
//
// Out of scope: maps of this machine's kernel, which package local is for.
package plugin
