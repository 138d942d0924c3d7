// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const aMap = "apiVersion: bpfmap.io/v1alpha1\nkind: BPFMap\nmetadata: {name: a}\n"

// volume is a folder as the kubelet makes it of a ConfigMap, and a link to it.
func volume(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	at := filepath.Join(dir, "volume", "..2026_11_26_22_00_00.1")
	for _, step := range []error{
		os.MkdirAll(at, 0o755),
		os.WriteFile(filepath.Join(at, "a.yaml"), []byte(aMap), 0o600),
		os.Symlink(filepath.Base(at), filepath.Join(dir, "volume", "..data")),
		os.Symlink("..data/a.yaml", filepath.Join(dir, "volume", "a.yaml")),
		os.Symlink("volume", filepath.Join(dir, "current")),
		os.Mkdir(filepath.Join(dir, "volume", "nested"), 0o755),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	return dir
}

func TestLinkedFolders(t *testing.T) {
	dir := volume(t)
	for _, recursive := range []bool{false, true} {
		for _, name := range []string{"volume", "current"} {
			set := Read(Options{Paths: []string{filepath.Join(dir, name)}, Recursive: recursive, Namespace: "default"})
			if len(set.Manifests) != 1 || len(set.Problems) > 0 {
				t.Errorf("%s, recursive %t: want one map, have:\n%s", name, recursive, set)
			}
		}
	}
}

func TestFiles(t *testing.T) {
	dir := volume(t)
	o := Options{Paths: []string{filepath.Join(dir, "current"), filepath.Join(dir, "none.yaml")}, Recursive: true}
	files, folders := Files(o)
	short := func(paths []string) string {
		return strings.ReplaceAll(strings.Join(paths, " "), dir+"/", "")
	}
	if diff := cmp.Diff("current/a.yaml none.yaml", short(files)); diff != "" {
		t.Errorf("files (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff("current current/nested", short(folders)); diff != "" {
		t.Errorf("folders (-want +got)\n%s", diff)
	}
}

// TestOtherFiles waits for nobody to write into a FIFO, and takes no notice of an editor's locks.
func TestOtherFiles(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "b.yaml")
	for _, step := range []error{
		os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(aMap), 0o600),
		syscall.Mkfifo(fifo, 0o600),
		os.Symlink("me@here.1:2", filepath.Join(dir, ".#a.yaml")),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	for _, o := range []Options{{Paths: []string{dir}}, {Paths: []string{dir + "/a.yaml", fifo}, Watched: true}} {
		set := Read(o)
		if len(set.Manifests) != 1 || len(set.Problems) != 1 || set.Problems[0].Error() != fifo+": is not a regular file" {
			t.Errorf("have:\n%s", set)
		}
	}
}

func TestEmptyFolder(t *testing.T) {
	o := Options{Paths: []string{t.TempDir()}}
	if set := Read(o); len(set.Problems) != 1 {
		t.Errorf("want a problem, have:\n%s", set)
	}
	if o.Watched = true; Read(o).Problems != nil {
		t.Errorf("want no problem, have:\n%s", Read(o))
	}
}
