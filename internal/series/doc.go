// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package series makes series for Prometheus of a map's elements, as spec.metrics of its BPFMap says: it checks that
// against the schemas of key and value, and adds up what a reading of the map shows. It is pure.
//
// Out of scope: reading maps, which the kernel backend does, and serving metrics, which is internal/metrics'.
package series
