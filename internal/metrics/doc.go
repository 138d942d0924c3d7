// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package metrics tells Prometheus how maps are and what the controller and the agent do. How maps are is
// read when somebody scrapes, from what the status is made of; what is done is counted by decorating the
// parts that do it: a compiler, a client, an engine.
//
// The names follow one rule: bpfmap_node_… is how the maps of one node are, as its agent sees them,
// bpfmap_cluster_… how BPFMaps are, as the controller sees them, and any other bpfmap_… is work of the process
// that serves it. Table has all of them. Values of labels are in lower case, but for reason, whose values are
// the words of a status.
//
// Out of scope: serving the metrics, which controller-runtime's metrics server does. Those parts don't call
// this package.
package metrics
