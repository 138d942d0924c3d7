// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package api tests the validation in the custom resource definitions against a real API server.
//
// Out of scope: what only the compiler can tell (compile).
package api
