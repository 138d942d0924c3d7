// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"sigs.k8s.io/yaml"
)

// listed is an entry as manifests have it.
type listed struct {
	Key    json.RawMessage   `json:"key"`
	Value  json.RawMessage   `json:"value"`
	Values []json.RawMessage `json:"values"`
}

func (l *listed) entry(line int) Entry {
	e := Entry{Line: line, Key: l.Key, Value: l.Value}
	for _, v := range l.Values {
		e.Values = append(e.Values, v)
	}
	return e
}

// readJSON reads a list of entries, or entries one after the other.
func readJSON(text []byte, yield func(Entry) error) error {
	text = bytes.TrimPrefix(text, byteOrderMark)
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	inList := bytes.HasPrefix(bytes.TrimSpace(text), []byte{'['})
	if inList {
		if _, err := d.Token(); err != nil {
			return jsonError(text, d, err)
		}
	}
	c := counter{text: text, line: 1}
	for {
		if inList && !d.More() {
			_, err := d.Token() // the bracket
			return jsonError(text, d, err)
		}
		before := int(d.InputOffset())
		var l listed
		switch err := d.Decode(&l); {
		case errors.Is(err, io.EOF) && !inList:
			return nil
		case err != nil:
			return jsonError(text, d, err)
		}
		if err := yield(l.entry(c.at(skipSeparators(text, before)))); err != nil {
			return err
		}
	}
}

// skipSeparators is the offset of the next value.
func skipSeparators(text []byte, offset int) int {
	for offset < len(text) && strings.ContainsRune(" \t\r\n,[", rune(text[offset])) {
		offset++
	}
	return offset
}

// counter finds the lines of offsets that only grow, without counting from the beginning each time.
type counter struct {
	text         []byte
	offset, line int
}

func (c *counter) at(offset int) int {
	c.line += bytes.Count(c.text[c.offset:offset], []byte{'\n'})
	c.offset = offset
	return c.line
}

func jsonError(text []byte, d *json.Decoder, err error) error {
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return errorf(lineAt(text, int(syntax.Offset)), "%v", err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errorf(lineAt(text, len(text)), "ends in the middle")
	}
	return errorf(lineAt(text, int(d.InputOffset())), "%s", strings.TrimPrefix(err.Error(), "json: "))
}

// readYAML reads a list of entries. Its lines are those at which list items begin.
func readYAML(text []byte, yield func(Entry) error) error {
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return errorf(0, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if bytes.Equal(asJSON, []byte("null")) {
		return nil
	}
	var all []json.RawMessage
	if err := json.Unmarshal(asJSON, &all); err != nil {
		return errorf(1, "is no list of entries")
	}
	lines := itemLines(text)
	for i, raw := range all {
		line := 0
		if i < len(lines) {
			line = lines[i]
		}
		var l listed
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(&l); err != nil {
			return asError(errorf(line, "%s", strings.TrimPrefix(err.Error(), "json: ")), line)
		}
		if err := yield(l.entry(line)); err != nil {
			return err
		}
	}
	return nil
}

// itemLines are the lines that begin with the list's dash: those with the indentation of the first one.
func itemLines(text []byte) []int {
	var lines []int
	indent := -1
	number := 0
	for line := range bytes.Lines(text) {
		number++
		trimmed := bytes.TrimLeft(line, " ")
		if !bytes.HasPrefix(trimmed, []byte{'-'}) || bytes.HasPrefix(trimmed, []byte("---")) {
			continue
		}
		if at := len(line) - len(trimmed); indent < 0 || at == indent {
			indent = at
			lines = append(lines, number)
		}
	}
	return lines
}
