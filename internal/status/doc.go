// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package status folds what nodes report into the status of a BPFMap and of a node. It is pure: the
// same input gives the same output, bounded, sorted, and with times taken from the input.
//
// What counts as failing is said once, by Class.Failing.
//
// Out of scope: reading and writing objects (controller/cluster and controller/agent), and finding out how
// a map is (engine).
package status
