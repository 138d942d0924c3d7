// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// node is a place in a parsed document. The parser is used for line numbers alone: values come from
// the one that kubectl uses, which reads YAML 1.1.
type node = yaml.Node

// find is the place of a path such as "spec.entries[7].value.rule", or of the part of it that exists,
// and how many steps of it exist.
func (t *text) find(path string) (at spot, depth int) {
	_, at, depth = t.node(path)
	return at, depth
}

// spot is a place in a text. Both count from 1; 0 is unknown.
type spot struct{ line, column int }

// node is the node at a path, or that of the part of it that exists, with find's results; nil if the text can't
// be parsed.
func (t *text) node(path string) (at *node, where spot, depth int) {
	if t.root == nil {
		t.root = &node{}
		if err := yaml.Unmarshal(t.data, t.root); err != nil || len(t.root.Content) == 0 {
			return nil, spot{line: t.line}, 0
		}
	}
	if len(t.root.Content) == 0 {
		return nil, spot{line: t.line}, 0
	}
	at = t.root.Content[0]
	where = spot{at.Line, at.Column}
	for _, step := range steps(path) {
		child, begins := step.from(at)
		if child == nil {
			break
		}
		at, where = child, begins
		depth++
	}
	where.line += t.line - 1
	return at, where, depth
}

// step is a field's name or, if that is empty, an index.
type step struct {
	name  string
	index int
}

// steps are the steps of a path. What isn't one ends it.
func steps(path string) []step {
	var all []step
	for path != "" {
		if path[0] == '[' {
			inside, rest, _ := strings.Cut(path[1:], "]")
			i, err := strconv.Atoi(inside)
			if err != nil {
				return all
			}
			all = append(all, step{index: i})
			path = strings.TrimPrefix(rest, ".")
			continue
		}
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		all = append(all, step{name: path[:end]})
		path = strings.TrimPrefix(path[end:], ".")
	}
	return all
}

// from is the node that the step leads to and where its field or element starts.
func (s step) from(parent *node) (*node, spot) {
	for parent.Kind == yaml.AliasNode {
		parent = parent.Alias
	}
	switch {
	case s.name != "" && parent.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(parent.Content); i += 2 {
			if key := parent.Content[i]; key.Value == s.name {
				return parent.Content[i+1], spot{key.Line, key.Column}
			}
		}
	case s.name == "" && parent.Kind == yaml.SequenceNode && s.index < len(parent.Content):
		child := parent.Content[s.index]
		return child, spot{child.Line, child.Column}
	}
	return nil, spot{}
}
