// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// wantedPin is the pin that the map is to have. Where the revision doesn't state others, a map of somebody else has
// mode and owner as they were found, or as somebody else set them since.
func (o *Observation) wantedPin(found revision.Pin) revision.Pin {
	want := o.rev.Pin
	if m := o.pinned; m != nil {
		switch isOurs := o.record != nil && slices.Contains(o.record.ClaimedMaps(), m.info.ID); {
		case !isOurs:
			want = want.Over(found)
		case o.record.OriginOf(m.info.ID).IsAdopted():
			want = want.Over(asFound(found, o.record))
		}
	} else if origin := o.record.OriginOf(o.keepAlive.id()); origin.IsAdopted() && origin.Found != nil {
		want = want.Over(*origin.Found)
	}
	want.Stated = revision.PinStated{}
	return want
}

// origin is who made the map that a plan makes, adopts or works on. One that replaces an adopted map has its place: it
// was not ours before, and isn't in the end.
func (o *Observation) origin(p *plan.Plan) ownership.Origin {
	switch {
	case p.Base == plan.BaseNew && p.Action != plan.Replace:
		return ownership.Created()
	case p.Base == plan.BasePinned && !o.have.Recorded.Owns(o.pinned.id()):
		found := o.found
		found.Path = o.rev.Pin.Path
		return ownership.Adopted(found)
	}
	m := o.base(p.Base)
	if p.Base == plan.BaseNew {
		m = o.replaced()
	}
	origin := o.record.OriginOf(m.id())
	if m == o.pinned && origin.IsPinOf(o.found.Path) {
		return ownership.Adopted(asFound(o.found, o.record)) // what others set since we found it is theirs
	}
	return origin
}

// discards says whether elements of a map that nobody declared are deleted.
func (o *Observation) discards(m *openMap) bool {
	return o.rev.Discards(o.record.OriginOf(m.id()).IsAdopted())
}
