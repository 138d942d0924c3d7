// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// path is a way into a document.
type path []step

// step is one of a path.
type step struct {
	kind  stepKind
	name  string
	index int
}

type stepKind byte

const (
	byName  stepKind = iota
	byIndex          // [3]
	allOf            // []
	anyOf            // *
)

// String is the step as it is written.
func (s step) String() string {
	switch s.kind {
	case byIndex:
		return fmt.Sprintf("[%d]", s.index)
	case allOf:
		return "[]"
	case anyOf:
		return "*"
	}
	return s.name
}

// maxSteps bounds a path, and with it how deep the reader goes into documents.
const maxSteps = 32

// parsePath reads prefixes[], values[].properties.addressPrefixes[], elem[0], ["a name"].x, *.cidrs[].
func parsePath(text string) (path, error) {
	var p path
	rest := text
	for first := true; rest != ""; first = false {
		var s step
		var err error
		switch {
		case rest[0] == '[':
			s, rest, err = parseBrackets(text, rest)
		case rest[0] == '.' && first:
			err = fmt.Errorf("%q begins with a dot", text)
		case rest[0] == '.':
			s, rest, err = parseName(text, rest[1:])
		case first:
			s, rest, err = parseName(text, rest)
		default:
			err = fmt.Errorf("%q: a dot or a bracket is missing before %q", text, rest)
		}
		if err != nil {
			return nil, err
		}
		if p = append(p, s); len(p) > maxSteps {
			return nil, fmt.Errorf("%q has more than %d steps", text, maxSteps)
		}
	}
	return p, nil
}

func parseName(text, rest string) (step, string, error) {
	n := strings.IndexFunc(rest, func(r rune) bool { return !isNameRune(r) })
	if n < 0 {
		n = len(rest)
	}
	switch {
	case n == 0 && strings.HasPrefix(rest, "*"):
		return step{kind: anyOf}, rest[1:], nil
	case n == 0:
		return step{}, "", fmt.Errorf("%q: a name is missing before %q (other names than those of letters, digits, '_' and '-' are written [\"name\"])", text, rest)
	}
	return step{name: rest[:n]}, rest[n:], nil
}

func isNameRune(r rune) bool {
	return r == '_' || r == '-' || r == '$' || r == '@' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

func parseBrackets(text, rest string) (step, string, error) {
	if strings.HasPrefix(rest, `["`) {
		decoder := json.NewDecoder(strings.NewReader(rest[1:]))
		var name string
		if err := decoder.Decode(&name); err != nil {
			return step{}, "", fmt.Errorf("%q: %q does not hold a name in quotes", text, rest)
		}
		after, ok := strings.CutPrefix(rest[1+decoder.InputOffset():], "]")
		if !ok {
			return step{}, "", fmt.Errorf("%q: a bracket isn't closed", text)
		}
		return step{name: name}, after, nil
	}
	inside, after, ok := strings.Cut(rest[1:], "]")
	if !ok {
		return step{}, "", fmt.Errorf("%q: a bracket isn't closed", text)
	}
	if inside == "" {
		return step{kind: allOf}, after, nil
	}
	n, err := strconv.ParseUint(inside, 10, 31)
	if err != nil {
		return step{}, "", fmt.Errorf("%q: [%s] must be [] for all elements, the number of an element from 0, or a name in quotes", text, inside)
	}
	return step{kind: byIndex, index: int(n)}, after, nil
}

// isMany says whether the path may lead to several places.
func (p path) isMany() bool {
	for _, s := range p {
		if s.kind == allOf || s.kind == anyOf {
			return true
		}
	}
	return false
}

// each yields what the path leads to in a value that rawjson.Check took, in its order: nothing if it isn't there. A null
// is nothing. It ends when yield says so.
func (p path) each(raw []byte, yield func(raw []byte) bool) bool {
	if len(p) == 0 {
		return raw[0] == 'n' || yield(raw)
	}
	s, rest := p[0], p[1:]
	switch {
	case s.kind == byName || s.kind == anyOf:
		return !rawjson.IsObject(raw) || eachMember(raw, s, rest, yield)
	case !rawjson.IsList(raw):
		return true
	}
	i := 0
	for w := rawjson.Walk(raw); ; i++ {
		element, ok := w.Element()
		if !ok {
			return true
		}
		if (s.kind == allOf || s.index == i) && !rest.each(element, yield) {
			return false
		}
	}
}

func eachMember(raw []byte, s step, rest path, yield func(raw []byte) bool) bool {
	for w := rawjson.Walk(raw); ; {
		quoted, member, _, ok := w.Member()
		if !ok {
			return true
		}
		if (s.kind == anyOf || isNamed(quoted, s.name)) && !rest.each(member, yield) {
			return false
		}
	}
}

// isNamed says whether a name in quotes is that one.
func isNamed(quoted []byte, name string) bool {
	if inside := quoted[1 : len(quoted)-1]; string(inside) == name {
		return true
	}
	text, err := rawjson.Text(quoted) // with escapes in it
	return err == nil && text == name
}

// find is the first value that the path leads to.
func (p path) find(raw []byte) (found []byte, ok bool) {
	p.each(raw, func(raw []byte) bool {
		found, ok = raw, true
		return false
	})
	return found, ok
}
