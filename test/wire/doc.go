// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wire sends packets to XDP programs in tests: a machine with one interface, in a network namespace of its
// own, and clients at the other end of a veth pair, in another one.
//
// Out of scope: what the program at the interface does, and its maps.
package wire
