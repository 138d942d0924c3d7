// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// usage is that of the node's map; nil if nothing is known of the node, or its agent hasn't looked.
func (n node) usage() *v1alpha1.MapUsage {
	if n.class == ClassUnknown || n.mapState.MapID == 0 {
		return nil
	}
	return n.mapState.Usage
}

// usageState is the state of usage; empty if there is none.
func (n node) usageState() v1alpha1.MapUsageState {
	if u := n.usage(); u != nil {
		return u.State
	}
	return ""
}

// inUse says whether programs use the map on all nodes: False if it is known of one that none does, Unknown if it isn't
// known of one.
func inUse(nodes []node, counts tally) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionInUse, Status: metav1.ConditionUnknown}
	by := map[v1alpha1.MapUsageState]int{}
	var unused, unknown, others []node
	for _, n := range nodes {
		state := n.usageState()
		by[state]++
		switch state {
		case v1alpha1.MapUnused, v1alpha1.MapNeverUsed:
			unused = append(unused, n)
		case v1alpha1.MapUsageUnknown:
			unknown = append(unknown, n)
		case v1alpha1.MapUsed:
			if len(n.usage().OtherMaps) > 0 {
				others = append(others, n)
			}
		}
	}
	all := int(counts.Desired)
	switch {
	case len(unused) > 0:
		c.Status, c.Reason = metav1.ConditionFalse, v1alpha1.ReasonNeverUsed
		if by[v1alpha1.MapUnused] > 0 {
			c.Reason = v1alpha1.ReasonUnused
		}
		c.Message = fmt.Sprintf("no program uses this map on %d of %s: %s", len(unused), text.Count(all, "node", "nodes"), listBy(unused, all, node.saysUnused))
	case all == 0:
		c.Reason, c.Message = v1alpha1.ReasonNoNodesSelected, noNodes(counts)
	case len(unknown) > 0:
		c.Reason, c.Message = v1alpha1.ReasonUsageUnknown, listBy(unknown, all, func(n node) (string, time.Time) { return n.usage().Message, time.Time{} })
	case has(nodes, ClassUnknown):
		c.Reason, c.Message = v1alpha1.ReasonNodesUnknown, "unknown "+list(only(nodes, ClassUnknown), all)
	case by[""] > 0:
		c.Reason, c.Message = v1alpha1.ReasonNotYetReported, fmt.Sprintf("%d of %s told so far whether programs use this map", all-by[""], text.Count(all, "node", "nodes"))
	default:
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, v1alpha1.ReasonInUse, fmt.Sprintf("this map is in use on %d of %s", all, text.Count(all, "node", "nodes"))
		if len(others) > 0 {
			c.Message += "; " + listBy(others, all, func(n node) (string, time.Time) { return otherMaps(n.usage()), time.Time{} })
		}
	}
	return c
}

// saysUnused is what there is to say of a map that no program uses, without ids, so that nodes say the same.
func (n node) saysUnused() (string, time.Time) {
	u := n.usage()
	said := "programs used it before"
	if u.State == v1alpha1.MapNeverUsed {
		said = "none was seen to use it"
	}
	if others := otherMaps(u); others != "" {
		said += ", " + others
	}
	return said, u.Since.Time
}

// otherMaps is "xdp_block uses the map that was at the pin before"; empty if there are no other maps.
func otherMaps(u *v1alpha1.MapUsage) string {
	var parts []string
	for _, kind := range []v1alpha1.OtherMapKind{v1alpha1.OtherMapEarlier, v1alpha1.OtherMapSameName} {
		var programs []v1alpha1.MapProgram
		for i := range u.OtherMaps {
			if u.OtherMaps[i].Kind == kind {
				programs = append(programs, u.OtherMaps[i].Programs...)
			}
		}
		if len(programs) == 0 {
			continue
		}
		what := " the map that was at the pin before"
		if kind == v1alpha1.OtherMapSameName {
			what = " another map of the same name, type and sizes, which may be one that was to be this one"
		}
		parts = append(parts, named(programs)+what)
	}
	return strings.Join(parts, ", ")
}

// named is "xdp_block uses", "xdp_block and xdp_count use" or "xdp_block and 2 more programs use".
func named(programs []v1alpha1.MapProgram) string {
	name := func(p v1alpha1.MapProgram) string {
		if p.Name == "" {
			return "a program without a name"
		}
		return p.Name
	}
	switch first := name(programs[0]); len(programs) {
	case 1:
		return first + " uses"
	case 2:
		return first + " and " + name(programs[1]) + " use"
	default:
		return fmt.Sprintf("%s and %d more programs use", first, len(programs)-1)
	}
}

// programs is how many programs use the map on the nodes that can tell, "1" or "0-2"; empty if none can.
func programs(nodes []node) string {
	least, most, known := int32(0), int32(0), false
	for _, n := range nodes {
		if s := n.usageState(); s == "" || s == v1alpha1.MapUsageUnknown {
			continue
		}
		count := n.usage().ProgramCount
		if !known {
			least, most, known = count, count, true
		}
		least, most = min(least, count), max(most, count)
	}
	switch {
	case !known:
		return ""
	case least == most:
		return strconv.Itoa(int(least))
	}
	return fmt.Sprintf("%d-%d", least, most)
}
