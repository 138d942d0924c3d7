// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package source reads the text of sources of entries: one key a line, CSV, JSON and YAML, gzipped or
// not. It yields each entry as JSON with the line that it began on. It is pure.
//
// It is not for where the text comes from (controller/cluster, manifest), nor for what keys and values
// mean (compile).
package source
