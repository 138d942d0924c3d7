// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// texts are documents, most of which aren't valid.
var scanned = []string{
	`{"a": [1, -0.5e+10, 0, -0, 1E3, "x\u00e9\n\"\\\/", "é", true, false, null, {}, [], [[]], {"a": {"b": [{}]}}], "": ""}`,
	``, ` `, `nul`, `nulL`, `01`, `-`, `1.`, `1.e3`, `.5`, `1e`, `1e+`, `--1`, `+1`, `"`, `"\x"`, `"\u12g4"`, `"\u123`, "\"\n\"", "\"\x7f\x80\"", `'a'`,
	`{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{a:1}`, `{"a" 1}`, `{"a":1 "b":2}`, `{,}`, `{"a":}`, `{1:2}`, `[`, `[1`, `[1,`, `[1,]`, `[,1]`, `[1 2]`, `[1}`, `{"a":1]`,
	`1 2`, `[] []`, `{}x`, `]`, `}`, `,`, `:`, "\ufeff1", "\t\r\n 1 \n", `tru e`, `[true,falsee]`, `"a" "b"`, `1,2`, `{"a":1}{"a":2}`, "[\"\x00\"]",
}

// TestScanner compares the scanner with encoding/json: what it goes over is valid to its end exactly if it is for that,
// and its tokens are the same.
func TestScanner(t *testing.T) {
	for _, text := range scanned {
		checkScan(t, text)
	}
	lot := rand.New(rand.NewPCG(1, 2))
	const letters = `{}[]",:\u0129aeE+-.truefalsn ` + "\n\x01\xff"
	for range 40_000 { // the first text with some changes
		text := []byte(scanned[0])
		for range 1 + lot.IntN(3) {
			at := lot.IntN(max(1, len(text)))
			if len(text) == 0 {
				break
			}
			switch lot.IntN(3) {
			case 0:
				text[at] = letters[lot.IntN(len(letters))]
			case 1:
				text = append(text[:at], text[at+1:]...)
			default:
				text = text[:at+1]
			}
		}
		checkScan(t, string(text))
	}
}

func checkScan(t *testing.T, text string) {
	t.Helper()
	if got, want := passes(text), json.Valid([]byte(text)); got != want {
		t.Fatalf("%q is valid: %t, want %t", text, got, want)
	}
	s := newScanner(bufio.NewReaderSize(iotest.OneByteReader(strings.NewReader(text)), 16), start)
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	for {
		got, gotErr := s.token()
		want, wantErr := d.Token()
		if (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("%q: token %v, %v, want %v, %v", text, got, gotErr, want, wantErr)
		}
		if gotErr != nil {
			return
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: token %v, want %v", text, got, want)
		}
	}
}

// passes says whether a text is one value. It is read in small pieces, and kept as a whole.
func passes(text string) bool {
	s := newScanner(bufio.NewReaderSize(strings.NewReader(text), 16), start)
	raw, _, err := s.value()
	if err != nil || !json.Valid(raw) {
		return false
	}
	_, err = s.space()
	return errors.Is(err, io.EOF)
}
