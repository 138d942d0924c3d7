// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mapdef is a map as a program's source or the kernel defines it, and what the API makes of that: the
// spec of a BPFMap, and remarks on what a spec can't say.
//
// Out of scope: where definitions come from, which is bpfobject for compiled programs and cli/local for live
// maps, and types (btfschema).
package mapdef
