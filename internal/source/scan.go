// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// scanner reads a document of JSON (RFC 8259) token by token, or goes over values of any length: most of a document isn't
// wanted, and going over it byte by byte takes a tenth of the time that the tokens of encoding/json take. It accepts what
// encoding/json does, but for deeper nesting. A value that is wanted is in memory as a whole, and no more.
type scanner struct {
	in *bufio.Reader
	at position // of text[0]
	// text is what was read of in and isn't dropped yet, next where the next byte is.
	text []byte
	next int
	// kept is the beginning of a value that is kept, whose rest begins at text[from].
	keeps bool
	from  int
	kept  []byte
	// open are the objects and lists that tokens opened, as '{' and '['; what comes next is of the last of them.
	open  []byte
	state scanState
}

// scanState is what may come next in an object or a list.
type scanState byte

const (
	atValue scanState = iota // a value, or a member of an object
	atBegin                  // that, or the end
	atColon                  // the value behind a name
	atEnd                    // a comma, or the end
)

// maxItemDepth bounds how deep a value that is kept is nested, as encoding/json does.
const maxItemDepth = 10_000

func newScanner(in *bufio.Reader, at position) *scanner { return &scanner{in: in, at: at} }

// drop forgets what is before the next byte.
func (s *scanner) drop() {
	s.at = s.at.after(s.text[:s.next])
	_, _ = s.in.Discard(s.next) // it was peeked
	s.text, s.next = s.text[s.next:], 0
}

// fill reads some more, if everything is used.
func (s *scanner) fill() error {
	if s.next < len(s.text) {
		return nil
	}
	if s.keeps {
		s.kept, s.from = append(s.kept, s.text[s.from:]...), 0
		if len(s.kept) > MaxEntryBytes {
			return errorf(s.at.line, "an entry has more than %d bytes, the most that one may have", MaxEntryBytes)
		}
	}
	s.drop()
	if _, err := s.in.Peek(1); err != nil {
		return err
	}
	s.text, _ = s.in.Peek(s.in.Buffered()) // which is there
	return nil
}

// space is the next byte behind white space, which stays.
func (s *scanner) space() (byte, error) {
	for {
		for s.next < len(s.text) {
			switch c := s.text[s.next]; c {
			case ' ', '\t', '\r', '\n':
				s.next++
			default:
				return c, nil
			}
		}
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
}

// byte is the next byte, which stays.
func (s *scanner) byte() (byte, error) {
	if err := s.fill(); err != nil {
		return 0, err
	}
	return s.text[s.next], nil
}

func (s *scanner) errorf(format string, args ...any) *Error {
	return s.at.after(s.text[:s.next]).errorf(format, args...)
}

// unexpected is the error of a byte, in the words of encoding/json.
func (s *scanner) unexpected(c byte, where string) error {
	return s.errorf("invalid character %s %s", quoteByte(c), where)
}

func quoteByte(c byte) string {
	switch c {
	case '\'':
		return `'\''`
	case '"':
		return `'"'`
	}
	return fmt.Sprintf("%q", rune(c))
}

// failed is the error of a text that ends within a value, or can't be read.
func (s *scanner) failed(err error) error {
	if errors.Is(err, io.EOF) {
		return s.errorf("unexpected end of input")
	}
	return err
}

// closes says whether a byte ends the innermost object or list.
func (s *scanner) closes(c byte) bool {
	return len(s.open) > 0 && c == s.open[len(s.open)-1]+2 // ']' and '}' in ASCII
}

// inObject says whether an object is the innermost.
func (s *scanner) inObject() bool { return len(s.open) > 0 && s.open[len(s.open)-1] == '{' }

// begin goes over what is between values, and is the first byte of the next one, or of the end.
func (s *scanner) begin() (byte, error) {
	c, err := s.space()
	switch {
	case err != nil && len(s.open) == 0:
		return 0, err
	case err != nil:
		return 0, s.failed(err)
	case len(s.open) == 0:
		return c, nil
	}
	switch {
	case s.state == atColon && c != ':':
		return 0, s.unexpected(c, "after object key")
	case s.state == atEnd && c != ',' && !s.closes(c):
		if s.inObject() {
			return 0, s.unexpected(c, "after object key:value pair")
		}
		return 0, s.unexpected(c, "after array element")
	case s.state == atColon, s.state == atEnd && c == ',':
		isName := s.state == atEnd && s.inObject()
		s.next++
		if c, err = s.space(); err != nil {
			return 0, s.failed(err)
		}
		if s.state = atValue; isName && c != '"' {
			return 0, s.unexpected(c, "looking for beginning of object key string")
		}
	}
	return c, nil
}

// more says whether there is another value before the end of the innermost object or list.
func (s *scanner) more() bool {
	c, err := s.space()
	return err == nil && c != ']' && c != '}'
}

// token is the next token, as json.Decoder.Token has it; io.EOF behind the last document.
func (s *scanner) token() (json.Token, error) {
	isName := s.inObject() && s.state != atColon
	c, err := s.begin()
	switch {
	case err != nil:
		return nil, err
	case s.closes(c) && (s.state == atBegin || s.state == atEnd):
		s.next++
		s.open = s.open[:len(s.open)-1]
		s.state = atEnd
		return json.Delim(c), nil
	case isName && c != '"':
		return nil, s.unexpected(c, "looking for beginning of object key string")
	case c == '{' || c == '[':
		if len(s.open) == maxDocumentDepth {
			return nil, s.errorf("is nested deeper than %d levels", maxDocumentDepth)
		}
		s.next++
		s.open = append(s.open, c)
		s.state = atBegin
		return json.Delim(c), nil
	}
	raw, err := s.keep()
	if err != nil {
		return nil, err
	}
	if s.state = atEnd; isName {
		s.state = atColon
	}
	return scalarToken(raw)
}

// scalarToken is a value that is neither an object nor a list.
func scalarToken(raw []byte) (json.Token, error) {
	switch {
	case rawjson.IsString(raw):
		var text string
		err := json.Unmarshal(raw, &text)
		return text, err
	case raw[0] == 'n':
		return nil, nil
	case raw[0] == 't' || raw[0] == 'f':
		return raw[0] == 't', nil
	}
	return json.Number(raw), nil
}

// value is the next value and its position. It is valid until the next call.
func (s *scanner) value() ([]byte, position, error) {
	if _, err := s.begin(); err != nil {
		return nil, position{}, s.failed(err)
	}
	s.drop()
	at := s.at
	raw, err := s.keep()
	s.state = atEnd
	return raw, at, err
}

// keep reads the value that begins with the next byte.
func (s *scanner) keep() ([]byte, error) {
	s.keeps, s.from, s.kept = true, s.next, s.kept[:0]
	err := s.pass(maxItemDepth)
	s.keeps = false
	switch {
	case err != nil:
		return nil, err
	case len(s.kept) == 0:
		return s.text[s.from:s.next], nil
	}
	s.kept = append(s.kept, s.text[s.from:s.next]...)
	return s.kept, nil
}

// skip goes over the next value.
func (s *scanner) skip() error {
	if _, err := s.begin(); err != nil {
		return s.failed(err)
	}
	s.state = atEnd
	return s.pass(maxDocumentDepth - len(s.open))
}

// end refuses what stands behind the document.
func (s *scanner) end() error {
	_, err := s.space()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return s.errorf("unexpected text behind the list of entries")
}

// here is the position of the bracket or of the end of the token that was read last.
func (s *scanner) here() position { return s.at.after(s.text[:max(0, s.next-1)]) }
