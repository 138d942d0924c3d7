// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/bpfmap-io/bpfmap-operator/internal/number"
)

// nodeReader turns parsed YAML into entries.
type nodeReader struct {
	first int // the line of the text's first byte
	// key, value and list are room for JSON.
	key, value, expires, list []byte
	values                    [][]byte
	o                         *Options
	mapper                    *mapper // of items; nil for entries
	item                      item
}

// read yields the entries of a text, which is one list. items is how many of its lines begin an item, -1
// if that isn't known.
func (r *nodeReader) read(text []byte, first, items int, yield func(Entry) error) error {
	r.first = first
	if n := countNodes(text); n > maxNodes {
		return errorf(first, "an entry, or a list in brackets, has more than the %d values that one may have in YAML (use JSON)", maxNodes)
	}
	var document yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&document); err != nil {
		return r.syntax(text, err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errorf(first, "unexpected text behind the list of entries")
	}
	list := document.Content[0]
	if list.Kind != yaml.SequenceNode {
		return r.at(list).errorf("must be a list of entries")
	}
	if items >= 0 && items != len(list.Content) {
		return errorf(first, "%d lines begin with the list's dash, but it has %d items: indent the lines of a text or a list in brackets deeper than the dash", items, len(list.Content))
	}
	for _, node := range list.Content {
		if err := r.take(node, yield); err != nil {
			return err
		}
	}
	return nil
}

// take takes one item of the list.
func (r *nodeReader) take(n *yaml.Node, yield func(Entry) error) error {
	if r.o.Mapping == nil {
		return r.entry(n, yield)
	}
	raw, err := r.appendJSON(r.list[:0], n)
	r.list = raw
	var own *Error
	if errors.As(err, &own) {
		return r.o.invalid(own.Line, own.Message)
	}
	if err != nil {
		return err
	}
	r.item.line, r.item.raw = r.at(n).line, raw
	return r.mapper.take(&r.item)
}

// countNodes is at least how many nodes a text has: before each there is one of these characters.
func countNodes(text []byte) int {
	n := 1
	for _, c := range text {
		switch c {
		case ',', ':', '-', '[', '{', '?', '\n', '\r':
			n++
		}
	}
	return n
}

func (r *nodeReader) at(n *yaml.Node) position { return position{r.first + n.Line - 1, n.Column} }

func (r *nodeReader) entry(n *yaml.Node, yield func(Entry) error) error {
	if n.Kind == yaml.AliasNode {
		return r.at(n).errorf("%s", noAliases)
	}
	if n.Kind != yaml.MappingNode {
		return r.at(n).errorf("an entry must be an object with key and value")
	}
	e := Entry{Line: r.at(n).line}
	var seen members
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if name.ShortTag() == "!!merge" || name.Kind == yaml.AliasNode {
			return r.at(name).errorf("%s", noAliases)
		}
		if name.Kind != yaml.ScalarNode {
			return r.at(name).errorf("the name of a field must be a string")
		}
		if message := seen.add(name.Value); message != "" {
			return r.at(name).errorf("%s", message)
		}
		var err error
		switch name.Value {
		case "key":
			r.key, err = r.appendJSON(r.key[:0], value)
			e.Key = r.key
		case "value":
			r.value, err = r.appendJSON(r.value[:0], value)
			e.Value = r.value
		case "expires":
			r.expires, err = r.appendJSON(r.expires[:0], value)
			e.Expires = r.expires
		default:
			e.Values, err = r.elements(value)
		}
		if err != nil {
			return err
		}
	}
	if e.Values == nil {
		if e.Value == nil {
			e.Value = r.o.Value
		} else if len(r.o.Value) > 0 {
			r.value = fillObject(r.value, r.o.Value)
			e.Value = r.value
		}
	}
	return yield(e)
}

func (r *nodeReader) elements(n *yaml.Node) ([][]byte, error) {
	if n.Kind != yaml.SequenceNode {
		return nil, r.at(n).errorf("values must be a list")
	}
	if len(n.Content) > maxCPUs {
		return nil, r.at(n).errorf("%s", tooManyCPUs)
	}
	r.list, r.values = r.list[:0], r.values[:0]
	ends := make([]int, len(n.Content))
	for i, v := range n.Content {
		var err error
		if r.list, err = r.appendJSON(r.list, v); err != nil {
			return nil, err
		}
		ends[i] = len(r.list)
	}
	from := 0
	for _, end := range ends {
		r.values, from = append(r.values, r.list[from:end]), end
	}
	return r.values, nil
}

const noAliases = "aliases and merge keys are not supported in sources: write the value out"

// appendJSON appends a node as JSON.
func (r *nodeReader) appendJSON(dst []byte, n *yaml.Node) ([]byte, error) {
	switch n.Kind {
	case yaml.SequenceNode:
		dst = append(dst, '[')
		for i, child := range n.Content {
			var err error
			if dst, err = r.appendJSON(separate(dst, i), child); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	case yaml.MappingNode:
		return r.appendObject(dst, n)
	case yaml.ScalarNode:
		return r.appendScalar(dst, n)
	}
	return dst, r.at(n).errorf("%s", noAliases)
}

func (r *nodeReader) appendObject(dst []byte, n *yaml.Node) ([]byte, error) {
	dst = append(dst, '{')
	names := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		switch {
		case name.ShortTag() == "!!merge" || name.Kind == yaml.AliasNode:
			return dst, r.at(name).errorf("%s", noAliases)
		case name.Kind != yaml.ScalarNode:
			return dst, r.at(name).errorf("the name of a field must be a string")
		case names[name.Value]:
			return dst, r.at(name).errorf("%s is given twice", name.Value)
		}
		names[name.Value] = true
		dst = append(quote(separate(dst, i), []byte(name.Value)), ':')
		var err error
		if dst, err = r.appendJSON(dst, n.Content[i+1]); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

func separate(dst []byte, i int) []byte {
	if i > 0 {
		return append(dst, ',')
	}
	return dst
}

func (r *nodeReader) appendScalar(dst []byte, n *yaml.Node) ([]byte, error) {
	switch tag := n.ShortTag(); tag {
	case "!!str", "!!timestamp":
		return quote(dst, []byte(n.Value)), nil
	case "!!null":
		return append(dst, "null"...), nil
	case "!!bool", "!!int", "!!float":
	default:
		return dst, r.at(n).errorf("tag %s is not supported", tag)
	}
	if message := number.OfNode(n); message != "" {
		return dst, r.at(n).errorf("%s", message)
	}
	if n.ShortTag() != "!!bool" && n.Value != "" && (n.Value[0] == '-' || '0' <= n.Value[0] && n.Value[0] <= '9') && json.Valid([]byte(n.Value)) {
		return append(dst, n.Value...), nil
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return dst, r.at(n).errorf("%s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if f, ok := v.(float64); ok && (math.IsInf(f, 0) || math.IsNaN(f)) { // which JSON doesn't have: the type says whether it does
		return quote(dst, []byte(n.Value)), nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return dst, r.at(n).errorf("%v", err)
	}
	return append(dst, b...), nil
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// errSyntax is in the errors of texts that aren't YAML. Their lines may be those where a collection
// begins.
var errSyntax = errors.New("not YAML")

// asError is the *Error in err, which may be wrapped with errSyntax.
func asError(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return err
}

// syntax is an error of the parser with its line in the source.
func (r *nodeReader) syntax(text []byte, err error) error {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	if name, ok := strings.CutPrefix(message, "unknown anchor '"); ok {
		name, _, _ = strings.Cut(name, "'")
		before, _, _ := bytes.Cut(text, fmt.Append(nil, "*", name))
		return fmt.Errorf("%w: %w", errSyntax, position{r.first, 1}.after(before).errorf("%s", noAliases))
	}
	line := r.first
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		n, _ := strconv.Atoi(m[1]) // digits
		line, message = r.first+n-1, message[len(m[0]):]
	}
	return fmt.Errorf("%w: %w", errSyntax, errorf(line, "%s", message))
}
