// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// SyncPolicy says who owns a map's contents.
//
// +kubebuilder:validation:Enum=Seed;Merge;Mirror
type SyncPolicy string

// The sync policies.
const (
	// SyncSeed writes the entries once, when the map is created; programs own them afterwards.
	SyncSeed SyncPolicy = "Seed"
	// SyncMerge keeps declared keys at their declared values, deletes keys that are no longer declared,
	// and leaves other keys alone.
	SyncMerge SyncPolicy = "Merge"
	// SyncMirror makes the map contain exactly what is declared.
	SyncMirror SyncPolicy = "Mirror"
)

// DriftPolicy says what happens when a map no longer holds what its revision says.
//
// +kubebuilder:validation:Enum=Repair;Report
type DriftPolicy string

// The drift policies.
const (
	// DriftRepair reports drift and repairs it.
	DriftRepair DriftPolicy = "Repair"
	// DriftReport reports drift and changes nothing.
	DriftReport DriftPolicy = "Report"
)

// ReplacePolicy says whether a map may be replaced by a new one.
//
// +kubebuilder:validation:Enum=Never;Swap
type ReplacePolicy string

// The replace policies.
const (
	// ReplaceNever never replaces a map: a change that would need it is Stalled.
	ReplaceNever ReplacePolicy = "Never"
	// ReplaceSwap builds a new map and lets it take the pin in one step.
	ReplaceSwap ReplacePolicy = "Swap"
)

// AdoptionPolicy says whether a map that somebody else made may become a BPFMap's.
//
// +kubebuilder:validation:Enum=Never;Adopt;AdoptAndDiscard
type AdoptionPolicy string

// The adoption policies.
const (
	// AdoptionNever leaves a map that somebody else made alone.
	AdoptionNever AdoptionPolicy = "Never"
	// AdoptionAdopt takes it over. What others put into it stays.
	AdoptionAdopt AdoptionPolicy = "Adopt"
	// AdoptionDiscard takes it over, and lets syncPolicy Mirror delete what others put into it.
	AdoptionDiscard AdoptionPolicy = "AdoptAndDiscard"
)

// DeletionPolicy says what happens to pinned maps that are no longer declared.
//
// +kubebuilder:validation:Enum=Delete;Retain;GiveBack
type DeletionPolicy string

// The deletion policies.
const (
	// DeletionDelete removes the pins; the kernel frees a map when its last user is gone.
	DeletionDelete DeletionPolicy = "Delete"
	// DeletionRetain keeps the pins, with all that the maps hold, and releases the maps.
	DeletionRetain DeletionPolicy = "Retain"
	// DeletionGiveBack takes the declared keys out of the maps and leaves the rest as it was found: the pins with
	// their modes and owners, and the elements of others.
	DeletionGiveBack DeletionPolicy = "GiveBack"
)
