// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package btfschema turns BTF types into schemas and schemas into BTF types, and compares the two: so maps that
// nobody declared are shown typed, tools show ours by name, and a declaration that doesn't fit a program's types is
// found before it is used.
//
// What C can't say stands in decl tags of members and typedefs, see Tag.
//
// Out of scope: loading BTF into the kernel (bpf), and bytes of values (schema).
package btfschema
