// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plan decides what is to be done with one map on one node: Differ compares contents while
// they stream by, Decide weighs shape, ownership, freeze and drift, and the Plan prints as text. It
// is pure: no system calls, no clock.
//
// It is not for doing anything (engine), nor for reading manifests (compile).
package plan
