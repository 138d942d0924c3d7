// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package rawjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrUTF8 is a text that holds bytes that aren't UTF-8. encoding/json replaces them silently.
var ErrUTF8 = errors.New("invalid UTF-8")

// Check is the one JSON value in text, without the white space around it.
func Check(text []byte) ([]byte, error) {
	text = bytes.Trim(text, " \t\r\n")
	if isPlainString(text) {
		return text, nil
	}
	if !json.Valid(text) {
		var v json.RawMessage
		if err := json.Unmarshal(text, &v); err != nil {
			return nil, err
		}
	}
	if !utf8.Valid(text) {
		return nil, ErrUTF8
	}
	return text, nil
}

// isPlainString says whether text is a string of printable ASCII without escapes, as most keys are.
func isPlainString(text []byte) bool {
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return false
	}
	for _, c := range text[1 : len(text)-1] {
		if c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// IsString, IsNumber, IsObject and IsList say what a value is, by its first byte.
func IsString(value []byte) bool { return value[0] == '"' }

// IsNumber says whether value is a number.
func IsNumber(value []byte) bool { return value[0] == '-' || '0' <= value[0] && value[0] <= '9' }

// IsObject says whether value is an object.
func IsObject(value []byte) bool { return value[0] == '{' }

// IsList says whether value is a list.
func IsList(value []byte) bool { return value[0] == '[' }

// Text is the content of a string. Escapes of half a surrogate pair are an error: no text holds them.
func Text(value []byte) (string, error) {
	inside := value[1 : len(value)-1]
	if bytes.IndexByte(inside, '\\') < 0 {
		return string(inside), nil
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return "", err
	}
	if strings.ContainsRune(text, utf8.RuneError) && !holdsReplacement(inside) {
		return "", fmt.Errorf("%s holds half a surrogate pair", value)
	}
	return text, nil
}

// holdsReplacement says whether U+FFFD itself is written in a string.
func holdsReplacement(inside []byte) bool {
	return bytes.ContainsRune(inside, utf8.RuneError) || bytes.Contains(bytes.ToLower(inside), []byte(`\ufffd`))
}

// Walker goes over the members of an object or the elements of a list.
type Walker struct {
	text []byte
	at   int
}

// Walk begins before the first member or element of value, an object or a list.
func Walk(value []byte) Walker { return Walker{text: value, at: 1} }

// Element is the next element of a list; false behind the last one.
func (w *Walker) Element() (value []byte, ok bool) {
	if w.skip(); w.text[w.at] == ']' {
		return nil, false
	}
	return w.value(), true
}

// Member is the next member of an object, and the offset of its name in the object; false behind the
// last one. The name is still in its quotes.
func (w *Walker) Member() (name, value []byte, offset int, ok bool) {
	if w.skip(); w.text[w.at] == '}' {
		return nil, nil, 0, false
	}
	offset = w.at
	name = w.value()
	w.skip()
	return name, w.value(), offset, true
}

// skip goes over white space and the separators between values.
func (w *Walker) skip() {
	for {
		switch w.text[w.at] {
		case ' ', '\t', '\r', '\n', ',', ':':
			w.at++
		default:
			return
		}
	}
}

// value goes over one value.
func (w *Walker) value() []byte {
	start, depth := w.at, 0
	for {
		switch w.text[w.at] {
		case '"':
			w.toQuote()
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		default:
			if depth == 0 {
				w.toEnd()
				return w.text[start:w.at]
			}
		}
		w.at++
		if depth == 0 {
			return w.text[start:w.at]
		}
	}
}

// toQuote goes from the quote that begins a string to the one that ends it.
func (w *Walker) toQuote() {
	for w.at++; w.text[w.at] != '"'; w.at++ {
		if w.text[w.at] == '\\' {
			w.at++
		}
	}
}

// toEnd goes over a number, true, false or null.
func (w *Walker) toEnd() {
	for w.at < len(w.text) {
		switch w.text[w.at] {
		case ' ', '\t', '\r', '\n', ',', ':', '}', ']':
			return
		}
		w.at++
	}
}
