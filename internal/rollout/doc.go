// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rollout decides how far a new revision goes: it orders the nodes by a hash, and moves a
// cut-off along that order, one batch at a time. It is pure: no clock, no API server.
//
// It is not for writing the cut-off (controller/cluster) nor for following it (controller/agent).
package rollout
