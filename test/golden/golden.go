// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package golden compares text with a file beside a test. With -update the file is written instead:
// read the difference before committing it.
package golden

import (
	"encoding/binary"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// Equal fails the test if got isn't what the file at path holds.
func Equal(t testing.TB, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got)\n%s", path, diff)
	}
}

// Native is Equal for a text that holds bytes in the machine's order. On a big-endian machine, and under an emulator of
// one, the file is the one beside it that ends in .bigendian.golden, where the texts differ.
func Native(t testing.TB, path, got string) {
	t.Helper()
	other := strings.TrimSuffix(path, ".golden") + ".bigendian.golden"
	if binary.NativeEndian.Uint16([]byte{0, 1}) != 1 {
		Equal(t, path, got)
		return
	}
	_, err := os.Stat(other)
	little, _ := os.ReadFile(path) // if there is none, they differ
	if err == nil || *update && string(little) != got {
		path = other
	} else if *update {
		return // the text of a little-endian machine isn't ours to write
	}
	Equal(t, path, got)
}

// Section fails the test if got isn't what stands between the marks of a name in the page at path:
// "<!-- name: … -->" and "<!-- end of name -->", each on a line of its own.
func Section(t testing.TB, path, name, got string) {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(page), "<!-- "+name+": ")
	mark, rest, _ := strings.Cut(rest, "\n")
	want, after, ended := strings.Cut(rest, "<!-- end of "+name+" -->\n")
	if !begun || !ended {
		t.Fatalf("%s has no section %s", path, name)
	}
	if diff := cmp.Diff(want, got); diff == "" {
		return
	} else if !*update {
		t.Errorf("%s, section %s (-want +got)\n%s", path, name, diff)
		return
	}
	page = []byte(before + "<!-- " + name + ": " + mark + "\n" + got + "<!-- end of " + name + " -->\n" + after)
	if err := os.WriteFile(path, page, 0o644); err != nil {
		t.Fatal(err)
	}
}
