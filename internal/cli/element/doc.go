// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package element turns the bytes of keys and values into text and back: typed where a schema is
// known, in hex elsewhere.
//
// Out of scope: layouts (schema), and getting the bytes (bpf).
package element
