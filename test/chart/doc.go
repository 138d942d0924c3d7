// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package chart tests the two ways to install the operator, charts/bpfmap-operator and
// config/default: helm and kubectl render them, a real API server takes every object, and both grant
// the same rights. The samples are sent there, too.
//
// Out of scope: a running installation, since nothing starts the pods here.
package chart
