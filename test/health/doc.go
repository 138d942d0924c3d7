// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package health runs the health checks of config/health as Argo CD (Lua) and Flux (CEL) do, over
// statuses that the controller makes, and compares both with kstatus.
//
// Out of scope: Argo CD and Flux themselves. Their evaluation is reimplemented, not imported.
package health
