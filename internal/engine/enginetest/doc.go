// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package enginetest is for testing what uses the engine: a Backend in memory, decorators that fail
// and that die, and the contract that every Backend passes.
//
// Out of scope: production.
package enginetest
