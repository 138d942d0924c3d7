// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manifest reads BPFMap manifests as kubectl does: YAML and JSON, several documents per file,
// files, folders and standard input. Every manifest and every problem knows its place.
//
// Out of scope: what a manifest means. compile judges fields and entries.
package manifest
