// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package contents is what revisions hold, as text: read from the API server, typed by their schemas, and compared with
// each other.
//
// Out of scope: compiling revisions (compile), and what kernels hold.
package contents
