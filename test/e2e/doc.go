// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package e2e tests the installed chart on a cluster of three nodes, against what each node's kernel
// shows at the pins.
//
// The tests have the build tag e2e, need root, and run by `make test-e2e`: on the cluster that
// $CLUSTER_DIR and $KUBECONFIG name, or else on one that hack/cluster/up.sh makes and that is removed
// afterwards. The nodes share a kernel, and with it the numbers of maps, so everything goes by pin.
//
// Out of scope: what a single process and an API server can show (test/loop, which is faster).
package e2e
