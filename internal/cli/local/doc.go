// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package local is the commands that work on this machine, without a cluster: declared maps through
// the same compiler and engine that controller and agent run, and single operations on any map.
//
// It is NOT for those two (package cli), nor for how elements are written and read as text (element,
// dump).
package local
