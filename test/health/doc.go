// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package health runs the health checks of config/health as Argo CD (Lua) and Flux (CEL) do, over
// statuses that the controller makes, and compares both with kstatus.
//
// It is NOT a test of Argo CD and Flux: their evaluation is imitated, not imported.
package health
