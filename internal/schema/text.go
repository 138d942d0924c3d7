// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// encodeString fills what is left of the size with NUL. A string as long as the size has none, as in
// C's char name[4] = "abcd".
func encodeString(s *scalar, dst []byte, value literal) string {
	text, ok, msg := value.bytes()
	if msg != "" {
		return msg
	}
	if !ok {
		return value.String() + " is not a string"
	}
	if len(text) > s.size {
		return fmt.Sprintf("%s is %d bytes long, more than size %d", value, len(text), s.size)
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return value.String() + " contains a NUL byte, which ends a string (use hex or bytes)"
	}
	copy(dst, text)
	return ""
}

// stringOf is the string in b, and false if b isn't what encodeString writes.
func stringOf(b []byte) (string, bool) {
	text, rest, _ := bytes.Cut(b, []byte{0})
	return string(text), utf8.Valid(text) && len(bytes.Trim(rest, "\x00")) == 0
}

func appendStringText(s *scalar, dst, b []byte) []byte {
	text, ok := stringOf(b)
	if !ok {
		return appendHex(s, append(dst, "hex:"...), b)
	}
	return appendPlain(dst, text)
}

// appendPlain appends a text for people, in quotes only where they are needed.
func appendPlain(dst []byte, text string) []byte {
	if text != "" && isPlain(text) {
		return append(dst, text...)
	}
	return strconv.AppendQuote(dst, text)
}

// plainText are the characters that need no quotes among fields and lists.
const plainText = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:"

// isPlain says whether a text has nothing but plainText's characters.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c >= utf8.RuneSelf || !isPlainByte[c] {
			return false
		}
	}
	return true
}

// isPlainByte says of each ASCII character whether it is one of plainText.
var isPlainByte = func() (plain [utf8.RuneSelf]bool) {
	for i := range len(plainText) {
		plain[plainText[i]] = true
	}
	return plain
}()

func appendStringJSON(s *scalar, dst, b []byte) []byte {
	text, ok := stringOf(b)
	if !ok {
		return append(appendHex(s, append(dst, `"hex:`...), b), '"')
	}
	return appendQuoted(dst, text)
}

// appendQuoted appends a JSON string. What needs no quotes among fields needs no escapes in JSON.
func appendQuoted(dst []byte, text string) []byte {
	if isPlain(text) {
		return append(append(append(dst, '"'), text...), '"')
	}
	quoted, err := json.Marshal(text)
	if err != nil { // a string always marshals
		return strconv.AppendQuote(dst, text)
	}
	return append(dst, quoted...)
}

func encodeBytes(s *scalar, dst []byte, value literal) string {
	text, ok := value.word()
	if !ok {
		return value.String() + " is not a base64 string"
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return value.String() + " is not valid base64"
	}
	return s.exactly(dst, b, value)
}

func appendBytes(_ *scalar, dst, b []byte) []byte { return base64.StdEncoding.AppendEncode(dst, b) }

var hexSeparators = strings.NewReplacer(":", "", " ", "", "-", "", "_", "")

// encodeHex takes hex digits with or without 0x and separators.
func encodeHex(s *scalar, dst []byte, value literal) string {
	text, ok := value.word()
	if !ok {
		return value.String() + " is not a string of hex digits (quote it)"
	}
	digits, _ := cutHexPrefix(text)
	b, err := hex.DecodeString(hexSeparators.Replace(digits))
	if err != nil {
		return value.String() + " is not a string of pairs of hex digits"
	}
	return s.exactly(dst, b, value)
}

func appendHex(_ *scalar, dst, b []byte) []byte { return hex.AppendEncode(dst, b) }

func (s *scalar) exactly(dst, b []byte, value literal) string {
	if len(b) != s.size {
		return fmt.Sprintf("%s is %d bytes long, exactly size %d is required", value, len(b), s.size)
	}
	copy(dst, b)
	return ""
}
