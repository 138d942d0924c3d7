// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/locked"
	"github.com/bpfmap-io/bpfmap-operator/internal/manifest"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// groupID is the group of a manifest as "namespace/group"; empty for none.
func groupID(d declared) string {
	if g := d.rev.GroupName(); g != "" {
		return d.rev.Key.Namespace + "/" + g
	}
	return ""
}

// byGroup are the manifests of each group.
func byGroup(maps []declared) map[string][]declared {
	groups := map[string][]declared{}
	for _, d := range maps {
		if id := groupID(d); id != "" {
			groups[id] = append(groups[id], d)
		}
	}
	return groups
}

// refuseGroups says what is wrong with groups: those that nodes with a controller couldn't get.
func refuseGroups(all []declared) (problems []manifest.Problem) {
	groups := byGroup(all)
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		members := groups[id]
		first := members[0]
		for i, d := range members {
			p := manifest.Problem{Place: d.Place, Object: d.Name()}
			switch {
			case i >= v1alpha1.MaxGroupMembers:
				p.Path, p.Message = "spec.group", fmt.Sprintf("group %s has %d BPFMaps, at most %d are possible: take some out of the group, or make two groups", id, len(members), v1alpha1.MaxGroupMembers)
			case !maps.Equal(d.rev.NodeSelector, first.rev.NodeSelector):
				p.Path, p.Message = "spec.nodeSelector", fmt.Sprintf("the BPFMaps of group %s are for the same nodes, and %s has another nodeSelector: make them alike, or take one out of the group", id, first.Name())
			default:
				continue
			}
			p.Place = d.At(p.Path)
			problems = append(problems, p)
		}
	}
	return problems
}

// groupRuns bring maps of groups to their manifests.
type groupRuns struct {
	e      *locked.Engine
	groups map[string][]declared
	// reports are those of groups that were replaced, or weren't.
	reports map[revision.Key]engine.Report
}

func newGroupRuns(e *locked.Engine, maps []declared) *groupRuns {
	return &groupRuns{e, byGroup(maps), map[revision.Key]engine.Report{}}
}

// sync brings a map to its manifest, and the others of its group with it if they are to be replaced together.
func (g *groupRuns) sync(ctx context.Context, d declared) engine.Report {
	id := groupID(d)
	if id == "" {
		return g.e.Sync(ctx, d.rev)
	}
	if r, done := g.reports[d.rev.Key]; done {
		return r
	}
	r, alone := g.e.SyncMember(ctx, d.rev)
	if alone {
		return r
	}
	var members []engine.Member
	for _, m := range g.groups[id] {
		members = append(members, engine.Member{Key: m.rev.Key, Rev: m.rev})
	}
	for _, r := range g.e.SyncGroup(ctx, members) {
		g.reports[r.Key] = r
	}
	return g.reports[d.rev.Key]
}

// groupPlans are what diff says of groups.
type groupPlans struct {
	groups map[string][]declared
	plans  map[revision.Key]*plan.Plan
	errs   map[revision.Key]error
}

// waitsForInner says whether a map holds others that are to be replaced together with it.
func (g *groupPlans) waitsForInner(d declared) bool {
	var r engine.Reasoner
	if groupID(d) == "" || !errors.As(g.errs[d.rev.Key], &r) || r.Reason() != v1alpha1.NodeReasonInvalidReference {
		return false
	}
	return slices.ContainsFunc(d.rev.References, func(ref v1alpha1.Reference) bool {
		p := g.plans[revision.Key{Namespace: d.rev.Key.Namespace, Name: ref.Name}]
		return ref.Type == v1alpha1.TypeMapRef && p != nil && p.Action == plan.Replace
	})
}

// text says which maps are replaced together, or what keeps them from it; empty if none is to be replaced.
func (g *groupPlans) text() string {
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(g.groups)) {
		var replaced, obstacles []string
		for _, d := range g.groups[id] {
			p, err := g.plans[d.rev.Key], g.errs[d.rev.Key]
			switch {
			case g.waitsForInner(d), p != nil && p.Action == plan.Replace:
				replaced = append(replaced, d.rev.Key.Name)
			case err != nil:
				obstacles = append(obstacles, fmt.Sprintf("%s (%v)", d.rev.Key.Name, err))
			case p != nil && p.Action == plan.Stall:
				obstacles = append(obstacles, fmt.Sprintf("%s (%s: %s)", d.rev.Key.Name, p.Reason, p.Message))
			}
		}
		switch {
		case len(replaced) == 0 || len(g.groups[id]) == 1:
		case len(obstacles) > 0:
			fmt.Fprintf(&b, "group %s: nothing is replaced, because of %s: %s would be\n", id, strings.Join(obstacles, ", "), strings.Join(replaced, ", "))
		case len(replaced) > 1:
			fmt.Fprintf(&b, "group %s: %s are replaced together\n", id, strings.Join(replaced, ", "))
		}
	}
	return b.String()
}
