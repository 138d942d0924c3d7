// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package confinement runs the agent's program as nodes confine containers that the chart makes: under the seccomp profile
// that containerd uses by default, and its AppArmor profile, which this package's tests need, or SELinux, which those of
// the package in the folder selinux need.
package confinement
