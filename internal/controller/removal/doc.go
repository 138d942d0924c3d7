// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package removal says of all BPFMaps and BPFNodeStates that nobody looks after them any more: after the operator
// was uninstalled their conditions would go on telling what it saw last. The next installation writes them anew.
//
// Out of scope: removing anything, on nodes or in the cluster.
package removal
