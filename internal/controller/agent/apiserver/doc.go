// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apiserver holds the tests of a whole agent against a real API server, apart from the unit tests
// of package agent, which need none.
//
// Out of scope: the kernel (test/loop); the maps are on the memory backend.
package apiserver
