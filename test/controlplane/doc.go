// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controlplane runs a real etcd and a real kube-apiserver on loopback for tests and the demo.
//
// A [ControlPlane] is what a component of the project meets in a cluster: RBAC is on, CRDs are
// validated by the API server itself, and the API server can go away and come back at the same
// address with the same data. The programs come from $KUBEBUILDER_ASSETS, which `make test` sets.
//
// Out of scope: a cluster. A control plane has no scheduler, no controller manager (so no garbage collection,
// no service account tokens) and no kubelet. Nodes are objects that a test creates. Nothing is skipped: on a
// machine without the programs, the error says how to get them.
package controlplane
