// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Base is the map that a plan works on.
type Base int

// The bases.
const (
	// BaseNone: nothing is worked on, the plan stalls.
	BaseNone Base = iota
	// BaseNew: a new map.
	BaseNew
	// BasePinned: the map at the pin.
	BasePinned
	// BaseKept: the map behind our second pin.
	BaseKept
)

// fieldFrozen is the Difference that only a new map can settle.
const fieldFrozen = "frozen"

// Choice is the first half of a decision: which map to work on. The contents of Base, if it exists,
// are compared next; Finish makes the plan.
type Choice struct {
	Base Base
	plan Plan
	want Want
	have Have
	// base is the map of BasePinned and BaseKept.
	base *Observed
}

// Choose decides which map to work on, before anybody reads contents.
func Choose(want Want, have Have) Choice {
	rev := want.Revision
	c := Choice{want: want, have: have, plan: Plan{Key: rev.Key}}
	rec := have.Recorded
	switch {
	case have.ElsewhereOwner != "":
		return c.stall(v1alpha1.NodeReasonPinConflict, fmt.Sprintf("pin %s belongs to BPFMap %s", rev.Pin.Path, have.ElsewhereOwner), nil)
	case have.PinnedOwner != "":
		return c.stall(v1alpha1.NodeReasonPinConflict, fmt.Sprintf("map %d at the pin belongs to BPFMap %s", have.Pinned.ID, have.PinnedOwner), nil)
	case have.Pinned != nil && rec != nil && !rec.Owns(have.Pinned.ID):
		c.drift(DriftPinReplaced)
		return c.settle(BasePinned, have.Pinned, false)
	case have.Pinned != nil:
		return c.settle(BasePinned, have.Pinned, rec != nil)
	case rec != nil && have.Kept != nil && rec.Owns(have.Kept.ID):
		if rec.PinPath == rev.Pin.Path {
			c.drift(DriftPinRemoved)
		}
		return c.settle(BaseKept, have.Kept, true)
	}
	c.drift(DriftMapGone)
	c.Base, c.plan.Action = BaseNew, Create
	return c
}

// applied says whether exactly this was applied completely before: whatever differs now is drift.
func (c *Choice) applied() bool {
	return c.have.Recorded != nil && c.have.Recorded.Applied != "" && c.have.Recorded.Applied == c.want.Fingerprint
}

// drift notes the first kind of drift that is found.
func (c *Choice) drift(kind DriftKind) {
	if c.applied() && c.plan.Drift == "" {
		c.plan.Drift = kind
	}
}

// settle takes an existing map as base if it can become what is declared.
func (c Choice) settle(base Base, m *Observed, ours bool) Choice {
	differences := c.want.Revision.Shape.Differences(m.Shape)
	if m.Frozen && !c.want.Revision.Policy.Freeze {
		c.drift(DriftFrozen)
		differences = append(differences, revision.Difference{Field: fieldFrozen, Have: "true", Want: "false"})
	}
	c.base = m
	if len(differences) == 0 {
		c.Base = base
		if !ours {
			c.plan.Action = Adopt
		}
		return c
	}
	return c.replace(ours, differences)
}

// replace makes a new map if that is allowed: only our own maps are ever replaced.
func (c Choice) replace(ours bool, differences []revision.Difference) Choice {
	if ours && c.want.Revision.Policy.Replace == v1alpha1.ReplaceSwap {
		c.Base, c.plan.Action, c.plan.Differences = BaseNew, Replace, differences
		return c
	}
	list := make([]string, len(differences))
	for i, d := range differences {
		list[i] = d.String()
	}
	what := fmt.Sprintf("map %d at the pin", c.base.ID)
	advice := "it was not made by this operator and is not touched"
	if ours {
		advice = "replacePolicy is Never"
	}
	return c.stall(stallReason(differences), fmt.Sprintf("%s can't become what is declared (%s): %s", what, strings.Join(list, "; "), advice), differences)
}

func (c Choice) stall(reason, message string, differences []revision.Difference) Choice {
	c.Base = BaseNone
	c.plan = c.plan.stall(reason, message, differences)
	return c
}

// Finish makes the plan. changes compare the base's contents with the declared ones (Fill for a new
// map); they are ignored if there is no base.
func (c Choice) Finish(changes Changes) Plan {
	p, policy := c.plan, c.want.Revision.Policy
	switch c.Base {
	case BaseNone:
		return p
	case BaseNew:
		p.Changes, p.Freeze, p.Pin = changes, policy.Freeze, true
		return c.judge(p)
	}
	if c.base.Frozen && changes.Incomplete {
		changes.Add = none(changes.Add) // what was missed may well be there, and can't be written anyway
	}
	if c.base.Frozen && !changes.IsEmpty() {
		ours := p.Action != Adopt
		next := c.replace(ours, []revision.Difference{{Field: fieldFrozen, Have: "true", Want: "other contents: " + changes.Summary()}})
		if next.Base == BaseNew {
			c.drift(DriftContents)
			next.plan.Drift = c.plan.Drift
		}
		next.plan.Changes = changes
		if next.Base == BaseNone {
			return next.plan
		}
		p = next.plan
		p.Freeze, p.Pin = policy.Freeze, true
		return next.judge(p)
	}
	p.Changes = changes
	p.Freeze = policy.Freeze && !c.base.Frozen
	p.Pin = c.Base == BaseKept || c.have.PinDiffers
	if p.Freeze {
		c.drift(DriftUnfrozen)
	}
	if c.contentsDrifted(&changes) {
		c.drift(DriftContents)
	}
	if c.have.PinDiffers {
		c.drift(DriftPinMode)
	}
	p.Drift = c.plan.Drift
	if p.Action == None {
		switch {
		case !c.applied(), p.Drift == "" && !changes.IsEmpty():
			p.Action = Update
		}
	}
	return c.judge(p)
}

// contentsDrifted says whether changes at an applied revision mean that somebody changed the map. An
// LRU map evicts by itself, and a read that may have missed elements proves nothing.
func (c *Choice) contentsDrifted(changes *Changes) bool {
	onlyAdds := changes.Set.Len == 0 && len(changes.Delete) == 0
	if onlyAdds && (changes.Incomplete || c.want.Revision.Shape.IsLRU()) {
		return false
	}
	return !changes.IsEmpty()
}

// judge turns work that drift caused into a repair or a report.
func (c *Choice) judge(p Plan) Plan {
	switch {
	case p.Drift == "":
	case c.want.Revision.Policy.Drift == v1alpha1.DriftReport:
		p.Action = Report
	case p.Action == None || p.Action == Update || p.Action == Create:
		p.Action = Repair
	}
	return p
}
