// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"encoding/json"
)

// readLines reads one key a line, or for keyless maps one value.
func readLines(text []byte, o Options, yield func(Entry) error) error {
	if o.Value == nil && !o.Keyless {
		return errorf(0, "the format Lines needs a value for its keys")
	}
	text = bytes.TrimPrefix(text, byteOrderMark)
	var quoted []byte
	for number := 1; len(text) > 0; number++ {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte{'\n'})
		if line = uncomment(line); len(line) == 0 {
			continue
		}
		quoted = quote(quoted[:0], line)
		entry := Entry{Line: number, Key: quoted, Value: o.Value}
		if o.Keyless {
			entry = Entry{Line: number, Value: quoted}
		}
		if err := yield(entry); err != nil {
			return err
		}
	}
	return nil
}

// byteOrderMark is what some editors put before UTF-8.
var byteOrderMark = []byte("\ufeff")

// uncomment is a line without what follows a '#' that begins it or stands after a blank.
func uncomment(line []byte) []byte {
	for i := 0; ; i++ {
		n := bytes.IndexByte(line[i:], '#')
		if n < 0 {
			break
		}
		if i += n; i == 0 || line[i-1] == ' ' || line[i-1] == '\t' {
			line = line[:i]
			break
		}
	}
	return bytes.TrimSpace(line)
}

// quote appends a text as a JSON string.
func quote(dst, text []byte) []byte {
	for _, c := range text {
		if c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			b, err := json.Marshal(string(text))
			if err != nil {
				panic("quote a string: " + err.Error()) // strings always marshal
			}
			return append(dst, b...)
		}
	}
	return append(append(append(dst, '"'), text...), '"')
}
