// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package process holds what the controller's and the agent's processes share: the connection to the
// API server, the log, the metrics and probe servers, and which kinds they know.
//
// It is NOT for anything that one of them does with those (controller/cluster, controller/agent).
package process
