// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tenancy tests what one tenant can do to another. The tests are the attackers of docs/security.md: who writes
// BPFMaps, ConfigMaps or revisions of a namespace, who has an agent's token, and who is an unprivileged user of a node.
// Each has a real token of a real API server with the chart's roles, its victims are the controller and an agent with the
// chart's own flags and tokens, and maps in the kernel.
package tenancy
