// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package metrics counts and times what the controller and the agent do, by decorating the parts that
// do it: a compiler, a client, an engine, the list of a node's maps.
//
// It is NOT called from inside those parts, and serves nothing itself: controller-runtime's metrics
// server does.
package metrics
