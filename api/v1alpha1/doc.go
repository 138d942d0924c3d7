// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the API types of the group bpfmap.io: BPFMap, which people write;
// BPFMapRevision, the compiled and immutable form that the controller writes and agents read; and
// BPFNodeState, one object per node, written by that node's agent alone.
//
// Out of scope: behaviour; what is decided about these types is in internal/. The package imports nothing
// but apimachinery and the apiextensions JSON type, so that other projects can import it cheaply.
//
// +kubebuilder:object:generate=true
// +groupName=bpfmap.io
package v1alpha1
