// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"encoding/json"
	"path/filepath"
)

// text is one document of a source.
type text struct {
	data []byte
	line int // of its first byte, counted from 1
	root *node
}

// split cuts a source into its documents, without the empty ones.
func split(s source) ([]*text, error) {
	first := bytes.TrimLeft(s.data, " \t\r\n")
	if filepath.Ext(s.file) == ".json" {
		return splitJSON(s.data)
	}
	if bytes.HasPrefix(first, []byte("{")) {
		// A YAML mapping may start with a brace as well.
		if docs, err := splitJSON(s.data); err == nil {
			return docs, nil
		}
	}
	return splitYAML(s.data), nil
}

func splitJSON(data []byte) ([]*text, error) {
	var docs []*text
	d := json.NewDecoder(bytes.NewReader(data))
	for d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, jsonSyntax(data, err)
		}
		start := int(d.InputOffset()) - len(raw)
		docs = append(docs, &text{data: raw, line: 1 + bytes.Count(data[:start], []byte("\n"))})
	}
	return docs, nil
}

// splitYAML cuts at the lines that start with "---" or "...", which YAML keeps for that everywhere,
// even in block scalars.
func splitYAML(data []byte) []*text {
	var docs []*text
	start, startLine, line := 0, 1, 1
	cut := func(end int) {
		skip, lines := lead(data[start:end])
		if doc := data[start+skip : end]; len(doc) > 0 {
			docs = append(docs, &text{data: doc, line: startLine + lines})
		}
	}
	for at := 0; at < len(data); line++ {
		next := len(data)
		if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
			next = at + i + 1
		}
		if isMarker(data[at:next]) {
			cut(at)
			start, startLine = at+3, line // what follows "---" on its line belongs to the document
		}
		at = next
	}
	cut(len(data))
	return docs
}

func isMarker(line []byte) bool {
	if !bytes.HasPrefix(line, []byte("---")) && !bytes.HasPrefix(line, []byte("...")) {
		return false
	}
	return len(line) == 3 || bytes.IndexByte([]byte(" \t\r\n"), line[3]) >= 0
}

// lead is the length of the comments and white space that a document starts with, in bytes and lines.
func lead(doc []byte) (size, lines int) {
	for line := range bytes.Lines(doc) {
		if text := bytes.TrimSpace(line); len(text) > 0 && text[0] != '#' {
			break
		}
		size += len(line)
		lines++
	}
	return size, lines
}
