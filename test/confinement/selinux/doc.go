// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package selinux tests what SELinux lets the agent do, under the policy that Debian makes of SELinux' reference policy: as
// container_t, which containers are by default, and as spc_t, which a value of the chart makes it. It needs a kernel that
// enforces that policy. What isn't confined as a container does as it likes (hack/kernels/selinux.go).
package selinux
