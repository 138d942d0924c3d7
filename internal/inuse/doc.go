// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inuse says whether programs use the maps of a node, from an inventory of all of its programs and maps, and
// when that is worth telling: once two looks agree, and less and less often for what changes again and again. It is
// pure.
//
// Out of scope: how the inventory is taken (bpf/users), and what many nodes come to (status).
package inuse
