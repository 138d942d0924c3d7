// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

// For tests outside of the package.
var (
	Does  = does
	Known = known
	Has   = has

	WithRing = withRing
)
