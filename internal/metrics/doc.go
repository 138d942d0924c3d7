// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package metrics counts and times what the controller and the agent do, by decorating the parts that
// do it: a compiler, a client, an engine, the list of a node's maps.
//
// Out of scope: serving the metrics, which controller-runtime's metrics server does. Those parts don't call
// this package.
package metrics
