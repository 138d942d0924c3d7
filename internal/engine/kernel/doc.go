// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kernel is the engine's Backend over this machine's kernel: maps by package bpf, pins and
// records by package pinstore, and the errors of both with the reasons that people see.
//
// Out of scope: decisions (plan, engine).
package kernel
