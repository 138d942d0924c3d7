// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kernels is what the operator can do with maps of each type on each kernel: a matrix that its tests
// take from the kernel that they run on, that is kept for each supported one in docs/kernels, and that
// docs/kernels.md shows. hack/kernels runs the tests on those kernels.
package kernels
