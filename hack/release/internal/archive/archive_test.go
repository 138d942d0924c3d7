// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTarGz(t *testing.T) {
	files := []File{{"bin/a", 0o755, []byte("a")}, {"b", 0o644, bytes.Repeat([]byte("b"), 100_000)}}
	var made [][]byte
	for _, zone := range []*time.Location{time.UTC, time.FixedZone("x", 3600)} {
		packed, err := TarGz(files, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).In(zone))
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, packed)
	}
	if !bytes.Equal(made[0], made[1]) {
		t.Error("the same files made different archives")
	}
	plain, err := Tar(files, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := Unpack(bytes.NewReader(plain), dir); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if got, err := os.ReadFile(filepath.Join(dir, f.Name)); err != nil || !bytes.Equal(got, f.Content) {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
}

func TestUnpackRefuses(t *testing.T) {
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeReg, Name: "../out"}, {Typeflag: tar.TypeReg, Name: "/out"}, {Typeflag: tar.TypeSymlink, Name: "link", Linkname: "/etc"},
		{Typeflag: tar.TypeReg, Name: "large", Size: maxUnpacked + 1},
	} {
		var b bytes.Buffer
		if err := tar.NewWriter(&b).WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if err := Unpack(&b, t.TempDir()); err == nil || !strings.Contains(err.Error(), "unpack \""+h.Name) {
			t.Errorf("%s: %v", h.Name, err)
		}
	}
}
