// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package local is the commands that work on this machine, without a cluster: declared maps through
// the same compiler and engine that controller and agent run, and single operations on any map.
//
// Out of scope: the commands of those two (cli), and the text of elements (element).
package local
