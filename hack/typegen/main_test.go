// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// TestUpToDate compares what the table gives with what is committed.
func TestUpToDate(t *testing.T) {
	for file, text := range generated {
		want, err := code(text)
		if err != nil {
			t.Fatal(err)
		}
		wantFile(t, file, string(want))
	}
	page, err := os.ReadFile("../../docs/concepts.md")
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "concepts.md")
	if err := os.WriteFile(copied, page, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := document(copied); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	wantFile(t, "docs/concepts.md", string(want))
}

func wantFile(t *testing.T, file, want string) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join("../..", file))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s isn't what internal/maptype gives: run make generate", file)
	}
}

// TestDocumentHasEveryType finds each type in both tables, once.
func TestDocumentHasEveryType(t *testing.T) {
	for name, table := range map[string]string{"contents": contentsTable(), "shapes": shapesTable()} {
		for _, m := range maptype.Offered() {
			found := 0
			for line := range strings.Lines(table) {
				first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
				for cell := range strings.SplitSeq(first, ", ") {
					if cell == m.Name {
						found++
					}
				}
			}
			if found != 1 {
				t.Errorf("the table of %s has %s %d times", name, m.Name, found)
			}
		}
	}
}

func TestBetween(t *testing.T) {
	const page = "before\n<!-- types: a, written by make generate -->\nold\n<!-- types: end of a -->\nafter\n"
	got, err := between(page, "a", "new\n")
	if want := strings.Replace(page, "old", "new", 1); err != nil || got != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	for _, wrong := range []string{"", "<!-- types: a, written by make generate -->\n"} {
		if _, err := between(wrong, "a", ""); err == nil {
			t.Errorf("%q has no marks", wrong)
		}
	}
}

func TestWrap(t *testing.T) {
	got := wrap("\t", strings.Repeat("word ", 30))
	for line := range strings.Lines(got) {
		if !strings.HasPrefix(line, "\t// word") || len(line) > 101 {
			t.Errorf("line %q", line)
		}
	}
	if strings.Count(got, "word") != 30 {
		t.Errorf("words are missing in %q", got)
	}
}
