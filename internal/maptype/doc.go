// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package maptype is the one table of what the kernel's map types can do. Everything that depends on
// the type of a map is read from it: the API's enum and its CEL rules (hack/crdgen), the compiler's
// checks, the engine's questions to a shape, the operations of a handle, the formula of the footprint.
//
// A new type is one literal here, one row of the kernel contract (internal/bpf, contract rows), and one
// sample in config/samples; tests fail for a type that lacks one of them. `make generate` then writes
// the constants, the CRD and the table in docs/concepts.md.
//
// The facts hold for Linux 7.2 and are compared with the running kernel by the tests of internal/bpf.
// They come from kernel/bpf/*.c and include/uapi/linux/bpf.h; a test compares names and numbers with the newest
// header (internal/uapi).
//
// Out of scope: asking the kernel what it has (internal/bpf), and formulas (internal/footprint).
package maptype
