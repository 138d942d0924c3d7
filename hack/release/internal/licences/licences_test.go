// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package licences

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRead finds the licences of the root and of the folders with packages in the binary, and of no others.
func TestRead(t *testing.T) {
	apache, err := os.ReadFile("../../../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	const isc = "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided that the above copyright notice and this permission notice appear in all copies.\n\nTHE SOFTWARE IS PROVIDED \"AS IS\" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.\n"
	const unlike = "You may do with this whatever the author of it likes on the day on which you ask, but not on Mondays.\n"
	dir := t.TempDir()
	for name, text := range map[string]string{
		"LICENSE": string(apache), "NOTICE": "Of X.", "license.go": "package x", "used/inner/COPYING": isc, "used/inner/x.go": "", "unused/LICENSE": unlike,
		"alone/README": "", "bad/LICENSE": unlike,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m := Module{Path: "example.org/x", Version: "v1.0.0"}
	if err := m.Read(dir, []string{filepath.Join(dir, "used", "inner")}); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, text := range m.Texts {
		names = append(names, text.Name)
	}
	if m.Licence != "Apache-2.0 AND ISC" || strings.Join(names, " ") != "LICENSE NOTICE used/inner/COPYING" {
		t.Errorf("%s, of %q", m.Licence, names)
	}
	for _, folder := range []string{"alone", "bad"} {
		m := Module{Path: "example.org/y"}
		if err := m.Read(filepath.Join(dir, folder), nil); err == nil || !strings.Contains(err.Error(), "no known licence") {
			t.Errorf("%s: %v", folder, err)
		}
	}
	if err := m.Read(dir, []string{"/elsewhere"}); err == nil || !strings.Contains(err.Error(), "isn't in") {
		t.Errorf("a package elsewhere: %v", err)
	}
	allowed["ISC"] = false
	t.Cleanup(func() { allowed["ISC"] = true })
	if err := (&Module{Path: "example.org/x"}).Read(filepath.Join(dir, "used", "inner"), nil); err == nil || !strings.Contains(err.Error(), "ISC isn't among") {
		t.Errorf("a licence that isn't allowed: %v", err)
	}
}

// TestNotices has each wording once, in an order that doesn't depend on the modules'.
func TestNotices(t *testing.T) {
	a := Module{Path: "a", Version: "v1", Licence: "MIT", Texts: []Text{{"LICENSE", "same\n"}, {"NOTICE", "of a"}}}
	b := Module{Path: "b", Version: "v1", Licence: "MIT", Texts: []Text{{"LICENSE", "same"}}}
	text := Notices("x", []Module{b, a, b})
	if text != Notices("x", []Module{a, b, a}) || strings.Count(text, "same") != 1 || strings.Count(text, "of a") != 1 || !strings.Contains(text, "a (LICENSE)\nb (LICENSE)\n") {
		t.Error(text)
	}
}
