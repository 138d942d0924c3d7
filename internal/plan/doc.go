// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plan makes every decision about one map on one node: Decide takes what is desired and what was
// observed, asks for what else has to be observed, and ends with a Plan, which prints as text. Differ
// compares contents while they stream by. The package is pure: no system calls, no clock.
//
// Out of scope: observing and executing (engine), reading manifests (compile).
package plan
