// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
)

// readYAML reads a list of entries. A list of "- " items, one below the other, is read as a stream: it is
// cut into runs of whole items, which the YAML library parses one after the other.
func readYAML(in *bufio.Reader, o Options, yield func(Entry) error) error {
	r := yamlReader{lines: lineReader{in: in}, o: o, yield: yield, indent: -1, nodes: nodeReader{o: &o}}
	if o.Mapping != nil {
		r.nodes.mapper = forDocuments(o, yield)
		if len(o.Mapping.items) > 0 {
			return r.document(in)
		}
	}
	for {
		line, err := r.lines.next()
		if errors.Is(err, io.EOF) {
			return r.flush()
		}
		if err != nil {
			return err
		}
		done, err := r.add(line)
		if done || err != nil {
			return err
		}
	}
}

const (
	// yamlRun is how many bytes of items are parsed together.
	yamlRun = 32 << 10
	// maxNodes bounds the values that are parsed together: each takes some 200 bytes in memory.
	maxNodes = 1 << 17
)

type yamlReader struct {
	lines lineReader
	o     Options
	yield func(Entry) error

	indent int    // of the list's dashes; -1 before the first one
	marked bool   // a "---" began the document
	ended  bool   // a "..." ended it
	run    []byte // whole items, and what stands between them
	items  []yamlItem
	nodes  nodeReader
}

// yamlItem is where an item begins: in the run, and in the text.
type yamlItem struct{ at, line int }

// add takes one line. It is done if it read the rest of the text.
func (r *yamlReader) add(line []byte) (done bool, err error) {
	number := r.lines.number
	text := bytes.TrimRight(line, " \t\r\n")
	inside := bytes.TrimLeft(text, " ")
	indent := len(text) - len(inside)
	switch {
	case isMarker(line):
		return false, r.marker(line)
	case len(inside) == 0 || inside[0] == '#':
		if r.indent < 0 {
			return false, nil
		}
		r.run = append(r.run, line...)
		return false, r.check()
	case r.ended:
		return false, position{number, 1}.errorf("unexpected text behind the end of the document")
	case r.indent < 0 && inside[0] == '[':
		return true, r.brackets(line, position{number, indent + 1})
	case r.indent < 0 && !isItem(inside):
		return false, position{number, indent + 1}.errorf("must be a list of entries")
	case indent < r.indent:
		return false, position{number, indent + 1}.errorf("unexpected text behind the list of entries")
	case (indent == r.indent || r.indent < 0) && isItem(inside):
		r.indent = indent
		if err := r.item(number); err != nil {
			return false, err
		}
	case indent == r.indent:
		return false, position{number, indent + 1}.errorf("must begin with '-', or be indented with spaces deeper than the list's dashes")
	}
	r.run = append(r.run, line...)
	return false, r.check()
}

// check bounds the item that is being read.
func (r *yamlReader) check() error {
	if last := r.items[len(r.items)-1]; len(r.run)-last.at > MaxEntryBytes {
		return errorf(last.line, "an entry has more than %d bytes, the most that one may have", MaxEntryBytes)
	}
	return nil
}

// item begins an item, and parses those before it if they are enough.
func (r *yamlReader) item(line int) error {
	if len(r.run) >= yamlRun {
		if err := r.flush(); err != nil {
			return err
		}
	}
	r.items = append(r.items, yamlItem{len(r.run), line})
	return nil
}

// flush yields the items of the run.
func (r *yamlReader) flush() error {
	items := r.items
	if len(items) == 0 {
		return nil
	}
	run := r.run
	r.run, r.items = r.run[:0], r.items[:0]
	err := r.nodes.read(run, items[0].line, len(items), r.yield)
	if len(items) == 1 || !errors.Is(err, errSyntax) {
		return asError(err)
	}
	// The parser's lines are those of the list: look for the item.
	for i, item := range items {
		end := len(run)
		if i+1 < len(items) {
			end = items[i+1].at
		}
		if err := r.nodes.read(run[item.at:end], item.line, 1, r.yield); err != nil {
			return asError(err)
		}
	}
	return asError(err)
}

// brackets reads a list in flow style. YAML with unquoted words is parsed as a whole, which bounds it;
// a longer list must be JSON, which is read as a stream.
func (r *yamlReader) brackets(line []byte, at position) error {
	text, err := io.ReadAll(io.LimitReader(io.MultiReader(bytes.NewReader(bytes.Clone(line)), r.lines.in), MaxEntryBytes+1))
	if err != nil {
		return err
	}
	if len(text) <= MaxEntryBytes {
		return asError(r.nodes.read(text, at.line, -1, r.yield))
	}
	in := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(text), r.lines.in), 64<<10)
	err = readJSON(in, position{at.line, 1}, r.o, r.yield)
	var syntax *Error
	if errors.As(err, &syntax) {
		syntax.Message += " (a list in brackets of more than " + strconv.Itoa(MaxEntryBytes) + " bytes is read as JSON)"
	}
	return err
}

// marker takes a line that begins or ends a document. There is one document.
func (r *yamlReader) marker(line []byte) error {
	at := position{r.lines.number, 1}
	rest := bytes.TrimSpace(line[3:])
	isComment := len(rest) == 0 || rest[0] == '#'
	switch {
	case line[0] == '.':
		r.ended = true
		if isComment {
			return nil
		}
		return at.errorf("unexpected text behind the end of the document")
	case r.marked || r.indent >= 0 || r.ended:
		return at.errorf("a second document begins: a source is one list of entries")
	case !isComment:
		return at.errorf("must be a list of entries that begins on a line of its own")
	}
	r.marked = true
	return nil
}

// isMarker says whether a line begins or ends a document, which YAML keeps for that everywhere.
func isMarker(line []byte) bool {
	if !bytes.HasPrefix(line, []byte("---")) && !bytes.HasPrefix(line, []byte("...")) {
		return false
	}
	return len(line) == 3 || bytes.IndexByte([]byte(" \t\r\n"), line[3]) >= 0
}

// isItem says whether a line, without its indentation, begins an item of a list.
func isItem(inside []byte) bool {
	return inside[0] == '-' && (len(inside) == 1 || inside[1] == ' ' || inside[1] == '\t')
}
