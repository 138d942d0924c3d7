// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rollout decides how far a new revision goes: it orders the nodes by a hash, and moves a
// frontier along that order, one batch at a time, and stops where nodes fail. It decides likewise which nodes give
// a map up whose labels changed. It is pure: no clock, no API server.
//
// Out of scope: writing the frontier (controller/cluster) and following it (controller/agent).
package rollout
