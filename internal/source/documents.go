// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// maxDocumentDepth bounds how deep a document is nested.
	maxDocumentDepth = 256
	// maxToldMembers bounds the names in a message.
	maxToldMembers = 12
)

// readItems takes the values that a path leads to in a document, or in several one after the other. What isn't on the way
// is gone over: no more than one item is in memory.
func (r *jsonReader) readItems(to path) error {
	var told documentMembers
	for {
		token, err := r.scan.token()
		if errors.Is(err, io.EOF) {
			return told.check(to)
		}
		if err != nil {
			return err
		}
		if err := r.walk(token, to, &told); err != nil {
			return err
		}
	}
}

// documentMembers are what was seen of documents.
type documentMembers struct {
	found     bool // something at the path
	documents int
	names     []string
}

// check refuses documents that have nothing where the items are to be: another list would be called empty.
func (m *documentMembers) check(to path) error {
	if m.found || m.documents == 0 {
		return nil
	}
	var way strings.Builder
	for i, s := range to {
		if i > 0 && (s.kind == byName || s.kind == anyOf) {
			way.WriteByte('.')
		}
		way.WriteString(s.String())
	}
	if len(m.names) == 0 {
		return errorf(0, "has nothing at %s (mapping.items)", way.String())
	}
	return errorf(0, "has nothing at %s (mapping.items): the members of the document are %s", way.String(), strings.Join(m.names, ", "))
}

func (m *documentMembers) note(name string) {
	switch {
	case len(m.names) < maxToldMembers:
		m.names = append(m.names, shown(name))
	case len(m.names) == maxToldMembers:
		m.names = append(m.names, "…")
	}
}

// walk goes the steps of a path from a value that begins with a token, which isn't on the path's end.
func (r *jsonReader) walk(token json.Token, to path, told *documentMembers) error {
	outermost := told != nil
	if outermost {
		told.documents++
		r.told = told
	}
	opens, isOpening := token.(json.Delim)
	switch s := to[0]; {
	case token == nil: // null is nothing
		return nil
	case isOpening && opens == '{' && (s.kind == byName || s.kind == anyOf):
		return r.walkMembers(s, to[1:], outermost)
	case isOpening && opens == '[' && (s.kind == allOf || s.kind == byIndex):
		return r.walkElements(s, to[1:])
	case outermost: // told at the end, by the names of all
		return r.skipRest(token)
	}
	return r.scan.here().errorf("mapping.items: %s is needed, and there is %s", needed(to[0]), tokenName(token))
}

func needed(s step) string {
	switch s.kind {
	case allOf, byIndex:
		return "a list for " + s.String()
	}
	return "an object for " + s.String()
}

func tokenName(token json.Token) string {
	switch t := token.(type) {
	case json.Delim:
		if t == '[' {
			return "a list"
		}
		return "an object"
	case string:
		return "the string " + shown(t)
	}
	return fmt.Sprintf("%v", token)
}

func (r *jsonReader) walkMembers(s step, rest path, outermost bool) error {
	for r.scan.more() {
		token, err := r.scan.token()
		if err != nil {
			return err
		}
		name, _ := token.(string) // the decoder lets nothing else be one
		if outermost {
			r.told.note(name)
		}
		if s.kind == anyOf || name == s.name {
			err = r.follow(rest)
		} else {
			err = r.scan.skip()
		}
		if err != nil {
			return err
		}
	}
	_, err := r.scan.token()
	return err
}

func (r *jsonReader) walkElements(s step, rest path) error {
	for i := 0; r.scan.more(); i++ {
		var err error
		if s.kind == allOf || s.index == i {
			err = r.follow(rest)
		} else {
			err = r.scan.skip()
		}
		if err != nil {
			return err
		}
	}
	r.told.found = r.told.found || len(rest) == 0 && s.kind == allOf // an empty list is there
	_, err := r.scan.token()
	return err
}

// follow takes the next value if the path ends with it, and otherwise goes on.
func (r *jsonReader) follow(rest path) error {
	if len(rest) == 0 {
		r.told.found = true
		raw, at, err := r.scan.value()
		if err != nil {
			return err
		}
		return r.take(raw, at)
	}
	token, err := r.scan.token()
	if err != nil {
		return err
	}
	return r.walk(token, rest, nil)
}

// skipRest reads the rest of a value that begins with a token.
func (r *jsonReader) skipRest(token json.Token) error {
	if _, isOpening := token.(json.Delim); !isOpening {
		return nil
	}
	for r.scan.more() {
		if r.scan.inObject() {
			if _, err := r.scan.token(); err != nil {
				return err
			}
		}
		if err := r.scan.skip(); err != nil {
			return err
		}
	}
	_, err := r.scan.token()
	return err
}

// document takes the values that the mapping's path leads to in a document of YAML, which is read as a whole. A longer one
// must be JSON.
func (r *yamlReader) document(in *bufio.Reader) error {
	text, err := io.ReadAll(io.LimitReader(in, MaxEntryBytes+1))
	if err != nil {
		return err
	}
	if len(text) > MaxEntryBytes {
		return errorf(0, "has more than %d bytes, the most that a YAML document with mapping.items may have (JSON may be longer: use format JSON)", MaxEntryBytes)
	}
	if n := countNodes(text); n > maxNodes {
		return errorf(0, "may have more than the %d values that a YAML document with mapping.items may have (use JSON)", maxNodes)
	}
	r.nodes.first = 1
	var told documentMembers
	for d := yaml.NewDecoder(strings.NewReader(string(text))); ; {
		var document yaml.Node
		err := d.Decode(&document)
		if errors.Is(err, io.EOF) {
			return told.check(r.o.Mapping.items)
		}
		if err != nil {
			return asError(r.nodes.syntax(text, err))
		}
		told.documents++
		if root := document.Content[0]; root.Kind == yaml.MappingNode {
			for i := 0; i+1 < len(root.Content); i += 2 {
				told.note(root.Content[i].Value)
			}
		}
		if err := r.nodes.walk(document.Content[0], r.o.Mapping.items, &told); err != nil {
			return err
		}
	}
}

// walk takes the nodes that a path leads to.
func (r *nodeReader) walk(n *yaml.Node, to path, told *documentMembers) error {
	if n.Kind == yaml.AliasNode {
		return r.at(n).errorf("%s", noAliases)
	}
	if len(to) == 0 {
		told.found = true
		return r.take(n, nil)
	}
	s, rest := to[0], to[1:]
	switch {
	case n.ShortTag() == "!!null":
		return nil
	case n.Kind == yaml.MappingNode && (s.kind == byName || s.kind == anyOf):
		for i := 0; i+1 < len(n.Content); i += 2 {
			if s.kind == byName && n.Content[i].Value != s.name {
				continue
			}
			if err := r.walk(n.Content[i+1], rest, told); err != nil {
				return err
			}
		}
		return nil
	case n.Kind == yaml.SequenceNode && (s.kind == allOf || s.kind == byIndex):
		told.found = told.found || len(rest) == 0 && s.kind == allOf
		for i, child := range n.Content {
			if s.kind == byIndex && s.index != i {
				continue
			}
			if err := r.walk(child, rest, told); err != nil {
				return err
			}
		}
		return nil
	}
	return r.at(n).errorf("mapping.items: %s is needed", needed(s))
}
