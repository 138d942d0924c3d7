// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import "strconv"

// pass goes over the value that begins with the next byte, which is no white space. It may have that many levels.
func (s *scanner) pass(levels int) error {
	c, err := s.byte()
	switch {
	case err != nil:
		return s.failed(err)
	case (c == '{' || c == '[') && levels <= 0:
		return s.errorf("is nested deeper than %d levels", maxDocumentDepth)
	case c == '{':
		return s.passObject(levels - 1)
	case c == '[':
		return s.passList(levels - 1)
	case c == '"':
		return s.passString()
	case c == '-' || isDigit(c):
		return s.passNumber()
	case c == 't':
		return s.passWord("true")
	case c == 'f':
		return s.passWord("false")
	case c == 'n':
		return s.passWord("null")
	}
	return s.unexpected(c, "looking for beginning of value")
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (s *scanner) passObject(levels int) error {
	s.next++
	c, err := s.space()
	if err == nil && c == '}' {
		s.next++
		return nil
	}
	for ; err == nil; c, err = s.space() {
		if c != '"' {
			return s.unexpected(c, "looking for beginning of object key string")
		}
		if err := s.passString(); err != nil {
			return err
		}
		if c, err = s.space(); err != nil {
			break
		}
		if c != ':' {
			return s.unexpected(c, "after object key")
		}
		s.next++
		if _, err = s.space(); err != nil {
			break
		}
		if err := s.pass(levels); err != nil {
			return err
		}
		if c, err = s.space(); err != nil {
			break
		}
		switch c {
		case '}':
			s.next++
			return nil
		case ',':
			s.next++
		default:
			return s.unexpected(c, "after object key:value pair")
		}
	}
	return s.failed(err)
}

func (s *scanner) passList(levels int) error {
	s.next++
	c, err := s.space()
	if err == nil && c == ']' {
		s.next++
		return nil
	}
	for ; err == nil; _, err = s.space() {
		if err := s.pass(levels); err != nil {
			return err
		}
		if c, err = s.space(); err != nil {
			break
		}
		switch c {
		case ']':
			s.next++
			return nil
		case ',':
			s.next++
		default:
			return s.unexpected(c, "after array element")
		}
	}
	return s.failed(err)
}

// plain are the bytes of strings that mean themselves.
var plain = func() (is [256]bool) {
	for c := 0x20; c < len(is); c++ {
		is[c] = c != '"' && c != '\\'
	}
	return is
}()

func (s *scanner) passString() error {
	s.next++
	for {
		text, n := s.text, s.next
		for n < len(text) && plain[text[n]] {
			n++
		}
		s.next = n
		c, err := s.byte()
		switch {
		case err != nil:
			return s.failed(err)
		case plain[c]: // of what was read just now
		case c == '"':
			s.next++
			return nil
		case c == '\\':
			if err := s.passEscape(); err != nil {
				return err
			}
		default:
			return s.unexpected(c, "in string literal")
		}
	}
}

func (s *scanner) passEscape() error {
	s.next++
	c, err := s.byte()
	if err != nil {
		return s.failed(err)
	}
	switch c {
	case 'b', 'f', 'n', 'r', 't', '\\', '/', '"':
		s.next++
		return nil
	case 'u':
	default:
		return s.unexpected(c, "in string escape code")
	}
	s.next++
	for range 4 {
		if c, err = s.byte(); err != nil {
			return s.failed(err)
		}
		if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
			return s.unexpected(c, `in \u hexadecimal character escape`)
		}
		s.next++
	}
	return nil
}

func (s *scanner) passNumber() error {
	c, err := s.byte()
	if err == nil && c == '-' {
		s.next++
		c, err = s.byte()
	}
	switch {
	case err != nil:
		return s.failed(err)
	case c == '0':
		s.next++
	case isDigit(c):
		err = s.passDigits("")
	default:
		return s.unexpected(c, "in numeric literal")
	}
	if err != nil {
		return err
	}
	if s.follows() == '.' {
		s.next++
		if err := s.passDigits("after decimal point in numeric literal"); err != nil {
			return err
		}
	}
	if s.follows()|0x20 != 'e' {
		return nil
	}
	s.next++
	if c := s.follows(); c == '-' || c == '+' {
		s.next++
	}
	return s.passDigits("in exponent of numeric literal")
}

// follows is the byte behind a part of a number, 0 if there is none: an error comes back with what follows the number.
func (s *scanner) follows() byte {
	c, err := s.byte()
	if err != nil {
		return 0
	}
	return c
}

// passDigits goes over one digit or more.
func (s *scanner) passDigits(where string) error {
	c, err := s.byte()
	switch {
	case err != nil:
		return s.failed(err)
	case !isDigit(c):
		return s.unexpected(c, where)
	}
	for isDigit(s.follows()) {
		s.next++
	}
	return nil
}

func (s *scanner) passWord(word string) error {
	for i := range len(word) {
		c, err := s.byte()
		switch {
		case err != nil:
			return s.failed(err)
		case c != word[i]:
			return s.unexpected(c, "in literal "+word+" (expecting "+strconv.QuoteRune(rune(word[i]))+")")
		}
		s.next++
	}
	return nil
}
