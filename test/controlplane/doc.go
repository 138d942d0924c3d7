// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controlplane runs a real etcd and a real kube-apiserver on loopback for tests and the demo.
//
// A [ControlPlane] is what a component of the project meets in a cluster: RBAC is on, CRDs are
// validated by the API server itself, and the API server can go away and come back at the same
// address with the same data. The programs come from $KUBEBUILDER_ASSETS, which `make test` sets.
//
// It is NOT a cluster: there is no scheduler, no controller manager (so no garbage collection, no
// service account tokens) and no kubelet. Nodes are objects that a test creates. It never skips: a
// machine without the programs gets an error that says how to get them.
package controlplane
