// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package source reads the text of sources of entries: one key per line, CSV, JSON and YAML, gzipped
// or not. It yields each entry as JSON with the line that it began on. It is pure.
//
// Texts are read as streams, and nothing in them is dropped in silence: what isn't an entry, a comment or
// white space is an error with its line, and its column where the format has one.
//
// Out of scope: where the text comes from (controller/cluster, manifest), and what keys and values mean
// (compile).
package source
