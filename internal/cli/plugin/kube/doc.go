// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kube is what every command of the kubectl plugin needs of a cluster: the connection that kubectl's own
// flags describe, used with the caller's rights, output formats, and completion of names.
//
// Out of scope: what the commands say.
package kube
