// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pinwatch tells at once when pins are made, removed or replaced in a BPF file system, by whomever: it
// watches the folders that hold them by inotify(7).
//
// Out of scope: what is at a pin, and what to do about it.
package pinwatch
