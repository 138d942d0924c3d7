// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ownership is what a node remembers of a managed map beside what the kernel shows: a small
// record with a binary form, and the set of declared keys as a stored base and the changes since.
// Everything in it is a value.
//
// Out of scope: storing records and bases (pinstore), and deciding by them (plan).
package ownership
