// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package btfschema describes BTF types as schemas, so that maps which nobody declared can be shown
// typed, too.
//
// Out of scope: loading BTF into the kernel (bpf), and layouts (schema).
package btfschema
