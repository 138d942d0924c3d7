// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cdecl writes schemas as declarations of C and of Go, and as tables, with the offset and size of each
// place: what a program has to declare to have the same bytes.
//
// Out of scope: reading C or its compiled types (bpfobject, btfschema).
package cdecl
