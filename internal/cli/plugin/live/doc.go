// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package live reads from a desk what the maps of a cluster's nodes hold: by the agents, which are reached through the API
// server, and with the caller's own rights.
//
// Out of scope: who may read what, which agents decide (contents), and what the API server knows of maps (plugin).
package live
