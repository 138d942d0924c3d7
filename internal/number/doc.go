// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package number finds the bare numbers of YAML texts that don't mean the same everywhere: 010 is 8 for
// parsers of YAML 1.1, which kubectl and the API server's clients use, and 10 for those of YAML 1.2, in quotes,
// and in a CSV file.
//
// Out of scope: what a number may be; that is its type's (schema).
package number
