// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package alerts tests the alerts of config/monitoring with a real Prometheus: it scrapes the program that
// people run, as controller and agents with the rights of their roles only, over a real API server and this
// machine's kernel. Each alert must fire by the fault that it is for, and none without a fault. It also holds
// alerts and dashboard to the metrics that exist.
//
// Out of scope: Alertmanager and the Prometheus Operator, and whether ten minutes are the right patience: the
// test shortens every duration in the rules.
package alerts
