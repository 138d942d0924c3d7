// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package krew holds the packed kubectl plugin to what krew does with it, and to kubectl.
package krew
