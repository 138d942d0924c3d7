// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package contents

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

var blocklist = revision.Key{Namespace: "edge", Name: "blocklist"}

func TestQuestionIsReadAsItIsWritten(t *testing.T) {
	for _, q := range []Question{
		{What: Elements, Key: blocklist, Format: "yaml", NonZero: true, Declared: true},
		{What: Elements, Pin: "/sys/fs/bpf/xdp-filter/filter_ipv4", Format: "hex"},
		{What: Element, Key: blocklist, Format: "json", Parts: []string{"u8:1", "hex:00 00", "&pin=/x"}},
		{What: Digest, Key: blocklist, Salt: "A B", Declared: true},
		{What: Manifest, Pin: "/sys/fs/bpf/a b", Entries: true, Limit: 7, Into: "edge", As: "filter"},
		{What: Plan, Key: blocklist},
		{What: Usage},
		{What: Usage, Key: revision.Key{Namespace: "edge"}},
		{What: Usage, Key: blocklist},
	} {
		u, err := url.Parse(q.URL())
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseQuestion(u)
		if err != nil {
			t.Errorf("%s: %v", q.URL(), err)
			continue
		}
		if diff := cmp.Diff(&q, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", q.URL(), diff)
		}
	}
}

func TestQuestionsThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"/":             "is not something that can be asked",
		"/v1/":          "is not something that can be asked",
		"/v1/elements/": "is not something that can be asked",
		"/v2/elements":  "is not something that can be asked",
		"/v1/elements?namespace=edge&name=blocklist":                         `format "": must be one of text, json, yaml, hex`,
		"/v1/elements?namespace=edge&name=blocklist&format=xml":              `format "xml"`,
		"/v1/element?namespace=edge&name=blocklist&format=yaml":              "format yaml is for all elements",
		"/v1/elements?format=text":                                           "is not a valid name of a namespace",
		"/v1/elements?format=text&namespace=edge":                            "is not a valid name of a BPFMap",
		"/v1/elements?format=text&namespace=..&name=blocklist":               "is not a valid name of a namespace",
		"/v1/elements?format=text&namespace=edge&name=a/b":                   "is not a valid name of a BPFMap",
		"/v1/elements?format=text&namespace=edge&name=blocklist&pin=/x":      "either the namespace and name of a BPFMap, or a pin",
		"/v1/elements?format=text&pin=x":                                     "must be an absolute path",
		"/v1/elements?format=text&pin=/a/../b":                               "must be an absolute path",
		"/v1/elements?format=text&pin=/a//b":                                 "must be an absolute path",
		"/v1/elements?format=text&pin=/a/":                                   "must be an absolute path",
		"/v1/elements?format=text&pin=/" + strings.Repeat("a", maxPin):       "at most 4096 are allowed",
		"/v1/elements?format=text&namespace=edge&name=blocklist&key=1":       `there is no parameter "key"`,
		"/v1/elements?format=text&format=json&namespace=edge&name=blocklist": "is given 2 times",
		"/v1/elements?format=text&namespace=edge&name=blocklist&nonzero=1":   `nonzero "1": must be true or false`,
		"/v1/plan?pin=/x": `there is no parameter "pin"`,
		"/v1/manifest?namespace=edge&name=blocklist&limit=0":                              "must be a number between 1 and 65536",
		"/v1/manifest?namespace=edge&name=blocklist&limit=65537":                          "must be a number between 1 and 65536",
		"/v1/digest?namespace=edge&name=blocklist&salt=" + strings.Repeat("a", maxSalt+1): "at most 64 are allowed",
		"/v1/usage?namespace=Edge":                                                        "is not a valid name of a namespace",
		"/v1/usage?name=blocklist":                                                        "is not a valid name of a namespace",
		"/v1/usage?x=%zz":                                                                 "read the question",
		"/v1/usage?" + strings.Repeat("x", maxQuery+1):                                    "at most 16384 are allowed",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if q, err := ParseQuestion(u); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100s: %+v, %v, want %q", text, q, err, want)
		}
	}
}

// FuzzParseQuestion: whatever is asked, what is read is a question that is written and read as the same.
func FuzzParseQuestion(f *testing.F) {
	f.Add("/v1/elements", "format=text&namespace=edge&name=blocklist")
	f.Add("/v1/element", "format=json&pin=/sys/fs/bpf/x&key=1&key=hex:00")
	f.Add("/v1/usage", "")
	f.Fuzz(func(t *testing.T, path, query string) {
		q, err := ParseQuestion(&url.URL{Path: path, RawQuery: query})
		if err != nil {
			return
		}
		if q.Pin != "" && (strings.Contains(q.Pin, "/../") || q.Key != (revision.Key{})) {
			t.Fatalf("%s?%s is about %q and %s", path, query, q.Pin, q.Key)
		}
		u, err := url.Parse(q.URL())
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseQuestion(u)
		if err != nil {
			if len(u.RawQuery) > maxQuery {
				return // escaping made it longer
			}
			t.Fatalf("%s: %v", u, err)
		}
		if diff := cmp.Diff(q, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestSummer(t *testing.T) {
	sum := func(salt string, elements ...string) string {
		s := NewSummer(salt)
		for _, e := range elements {
			s.Add([]byte(e))
		}
		if s.Len() != len(elements) {
			t.Errorf("%d elements, want %d", s.Len(), len(elements))
		}
		return s.String()
	}
	one := sum("s", "a", "b", "c")
	if other := sum("s", "c", "a", "b"); other != one {
		t.Errorf("another order makes another digest: %s, %s", one, other)
	}
	seen := map[string]bool{one: true}
	for _, digest := range []string{sum("s"), sum("s", "a", "b"), sum("s", "a", "b", "d"), sum("s", "a", "b", "c", "c"), sum("t", "a", "b", "c"), sum("s", "a", "a")} {
		if seen[digest] {
			t.Errorf("two contents have the digest %s", digest)
		}
		seen[digest] = true
	}
	// The carry goes from word to word: a sum is what its parts add up to, in whatever grouping.
	many := NewSummer("")
	for i := range 1000 {
		many.Add([]byte{byte(i), byte(i >> 8)})
	}
	back := NewSummer("")
	for i := 999; i >= 0; i-- {
		back.Add([]byte{byte(i), byte(i >> 8)})
	}
	if many.String() != back.String() {
		t.Error("a thousand elements in another order make another digest")
	}
}
