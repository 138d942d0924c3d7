// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Origin is who made a map. Records of earlier releases don't tell.
type Origin struct {
	// By is empty if nobody knows.
	By v1alpha1.MapOrigin `json:"by,omitempty"`
	// Found is the pin of an adopted map as it was found; nil for others.
	Found *revision.Pin `json:"found,omitempty"`
}

// Created is the origin of a map that was made here.
func Created() Origin { return Origin{By: v1alpha1.OriginCreated} }

// Adopted is the origin of a map of somebody else, with the pin as it was found.
func Adopted(found revision.Pin) Origin {
	return Origin{By: v1alpha1.OriginAdopted, Found: &found}
}

// IsAdopted says whether the map is known to be somebody else's.
func (o Origin) IsAdopted() bool { return o.By == v1alpha1.OriginAdopted }

// IsPinOf says whether a pin is somebody else's: the one that the map was found at.
func (o Origin) IsPinOf(path string) bool {
	return o.IsAdopted() && o.Found != nil && o.Found.Path == path
}

// OriginOf is the origin of one of the record's maps.
func (r *Record) OriginOf(mapID uint32) Origin {
	switch {
	case r == nil || mapID == 0:
	case mapID == r.MapID:
		return r.Origin
	case mapID == r.PreviousMapID:
		return r.PreviousOrigin
	}
	return Origin{}
}

// DeletionOf is what happens to one of the record's maps in the end. Where the policy doesn't say it, a map goes
// only if it is known to have been made here: of maps with records of earlier releases nobody knows whose they are.
func (r *Record) DeletionOf(o Origin) v1alpha1.DeletionPolicy {
	switch {
	case r.Deletion != "":
		return r.Deletion
	case o.By == v1alpha1.OriginCreated:
		return v1alpha1.DeletionDelete
	}
	return v1alpha1.DeletionGiveBack
}
