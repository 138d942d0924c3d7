// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inventory is a list of this machine's maps: what the kernel tells about each, where it is
// pinned, and which of them are managed.
//
// It is NOT for what maps hold (dump), nor for believing ownership: it shows where a managed map's
// pins are, the engine judges records.
package inventory
