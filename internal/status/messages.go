// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

const (
	// maxNamed bounds how many nodes of a group a condition's message names, and maxGroups how many groups.
	maxNamed  = 3
	maxGroups = 3
	// maxNamedMessage bounds, in bytes, what a condition's message quotes of one node.
	maxNamedMessage = 256
)

// summary is "2 of 3 nodes ready", followed by the worst of the nodes that aren't, and by those that nothing is
// known of.
func summary(nodes []node, counts tally) string {
	s := readyNodes(counts)
	for worst := ClassStalled; worst < ClassReady; worst++ {
		if worst != ClassUnknown && has(nodes, worst) {
			s += "; " + list(only(nodes, worst), int(counts.Desired))
			break
		}
	}
	return s + unknown(nodes, counts)
}

// readyNodes is "2 of 3 nodes ready", with the nodes that no agent is to run on.
func readyNodes(counts tally) string {
	s := fmt.Sprintf("%d of %s ready", counts.Ready, text.Count(int(counts.Desired), "node", "nodes"))
	if counts.WithoutAgent > 0 {
		s += fmt.Sprintf(" (%d more without an agent; %s)", counts.WithoutAgent, counts.leftOut)
	}
	return s
}

// leftOut tells of nodes by their names why no agent is to run on them.
func leftOut(withoutAgent map[string]string) string {
	nodes := make([]node, 0, len(withoutAgent))
	for _, name := range slices.Sorted(maps.Keys(withoutAgent)) {
		nodes = append(nodes, node{name: name})
	}
	return listBy(nodes, 0, func(n node) (string, time.Time) { return withoutAgent[n.name], time.Time{} })
}

// unknown is "; unknown on node-c: the Node isn't Ready"; empty if all nodes are known.
func unknown(nodes []node, counts tally) string {
	if !has(nodes, ClassUnknown) {
		return ""
	}
	return "; unknown " + list(only(nodes, ClassUnknown), int(counts.Desired))
}

// group is the nodes that say the same.
type group struct {
	message string
	nodes   []string
	// first and last are since when the nodes are so; zero if that isn't known of one of them.
	first, last time.Time
}

// list is "on node-a: message; on node-b, node-c: message; on 7 nodes (node-d, node-e, node-f, …): message; and 2 more nodes",
// of nodes that are sorted, out of all nodes of the map.
func list(nodes []node, all int) string { return listBy(nodes, all, node.says) }

// listBy is list with what is said of each node.
func listBy(nodes []node, all int, says func(node) (string, time.Time)) string {
	groups := grouped(nodes, says)
	var parts []string
	rest := 0
	for i, g := range groups {
		if i < maxGroups {
			parts = append(parts, g.where(all)+": "+g.message+g.since())
		} else {
			rest += len(g.nodes)
		}
	}
	if rest > 0 {
		parts = append(parts, "and "+text.Count(rest, "more node", "more nodes"))
	}
	return strings.Join(parts, "; ")
}

// grouped is the nodes by what they say, the largest group first.
func grouped(nodes []node, says func(node) (string, time.Time)) []*group {
	byMessage := map[string]*group{}
	var groups []*group
	for i := range nodes {
		n := &nodes[i]
		message, since := says(*n)
		message = text.Truncate(message, maxNamedMessage)
		g := byMessage[message]
		if g == nil {
			g = &group{message: message, first: since, last: since}
			byMessage[message] = g
			groups = append(groups, g)
		}
		g.add(n.name, since)
	}
	slices.SortStableFunc(groups, func(a, b *group) int { return len(b.nodes) - len(a.nodes) })
	return groups
}

func (g *group) add(node string, since time.Time) {
	g.nodes = append(g.nodes, node)
	if since.Before(g.first) {
		g.first = since
	}
	if since.After(g.last) {
		g.last = since
	}
}

// where is "on node-a, node-b", "on 7 nodes (node-a, node-b, node-c, …)" or "on all 7 nodes".
func (g *group) where(all int) string {
	switch n := len(g.nodes); {
	case n == all && n > 1:
		return fmt.Sprintf("on all %d nodes", n)
	case n > maxNamed:
		return fmt.Sprintf("on %d nodes (%s, …)", n, strings.Join(g.nodes[:maxNamed], ", "))
	}
	return "on " + strings.Join(g.nodes, ", ")
}

// since is since when the nodes are so, or the first of them.
func (g *group) since() string {
	s := since(g.first)
	if s != "" && !g.last.Equal(g.first) {
		return strings.Replace(s, "(since", "(the first since", 1)
	}
	return s
}
