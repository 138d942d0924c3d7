// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bpfobject reads the maps of compiled BPF programs: the definitions in the section .maps, and the
// sections of global variables, which loaders make arrays of.
//
// It reads ELF and BTF alone. Instructions aren't looked at, so an object whose programs no loader here could
// load is read all the same.
//
// Out of scope: what the API makes of a definition (mapdef), and types (btfschema).
package bpfobject
