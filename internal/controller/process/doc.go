// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package process holds what the controller's and the agent's processes share: the connection to the
// API server, the log, the metrics and probe servers, and which kinds they know.
//
// Out of scope: what the two processes do with these (controller/cluster, controller/agent).
package process
