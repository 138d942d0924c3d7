// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package confinement tests what the chart gives the agent where nodes confine containers: under the AppArmor profile and
// the seccomp profile that containerd uses by default. It needs a kernel with AppArmor.
package confinement
