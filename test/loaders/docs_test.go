// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loaders_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/test/docs"
)

// concepts shows how loaders find our maps.
const concepts = "docs/concepts.md"

// shown are the blocks of that page that TestDocumentation runs, in its order.
type shown struct {
	declaration, libbpf, cilium, bpftool, directories string
}

func readShown(t *testing.T) shown {
	t.Helper()
	s := docs.ShownBy(t, concepts)
	next := func(language string) string {
		t.Helper()
		b := s.Next()
		if b.Language != language {
			t.Fatalf("%s is %s, and %s is to be there", b, b.Language, language)
		}
		return strings.TrimSuffix(b.Text, "\n")
	}
	return shown{declaration: next("c"), libbpf: next("c"), cilium: next("go"), bpftool: next("sh"), directories: next("sh")}
}

// The programs around what is shown: each prints "NAME ID" for each map of the program.
const (
	aroundC = `#include <errno.h>
#include <stdio.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
int main(void) {
	SHOWN
	struct bpf_map *map;
	if (err)
		return 1;
	bpf_object__for_each_map(map, object) {
		struct bpf_map_info info = {};
		__u32 size = sizeof(info);
		if (bpf_obj_get_info_by_fd(bpf_map__fd(map), &info, &size))
			return 1;
		printf("%s %u\n", bpf_map__name(map), info.id);
	}
	return 0;
}
`
	aroundGo = `package main

import (
	"fmt"
	"os"

	"github.com/cilium/ebpf"
)

func load() error {
	SHOWN
	if err != nil {
		return err
	}
	for name, m := range collection.Maps {
		info, err := m.Info()
		if err != nil {
			return err
		}
		id, _ := info.ID()
		fmt.Println(name, id)
	}
	return nil
}

func main() {
	if err := load(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
`
	// preamble makes a machine whose BPF file system is where the documentation says. The shell is in
	// the directory of the programs.
	preamble = "set -e; mount -t bpf -o mode=0755 bpf /sys/fs/bpf\n"
)

// shownPrograms compiles what is shown into a directory, beside the objects, the manifests and bpfmap.
func shownPrograms(t *testing.T, s shown) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	compileC(t, filepath.Join(dir, "by-libbpf"), write("by-libbpf.c", strings.Replace(aroundC, "SHOWN", s.libbpf, 1)))
	mustRun(t, "go", "build", "-o", filepath.Join(dir, "by-cilium"), write("by-cilium.go", strings.Replace(aroundGo, "SHOWN", s.cilium, 1)))
	mustRun(t, "go", "build", "-o", filepath.Join(dir, "bpfmap"), "../../cmd/bpfmap")
	for name, object := range map[string]string{"firewall.bpf.o": object(t), "firewall-unpinned.bpf.o": object(t, "PINNING=LIBBPF_PIN_NONE")} {
		if err := os.Rename(object, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "maps"), os.DirFS("testdata/maps")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// onMachine runs a script with the mounts of a machine of its own, and returns what it prints.
func onMachine(t *testing.T, dir, script string) string {
	t.Helper()
	c := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", preamble+script)
	c.Dir = dir
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, script, out)
	}
	return string(out)
}

// mapsOfProgram is how many maps the firewall declares.
const mapsOfProgram = 4

// pairs are the lines "NAME ID" between two marks.
func pairs(t *testing.T, out, mark string) map[string]string {
	t.Helper()
	_, rest, _ := strings.Cut(out, "== "+mark+"\n")
	rest, _, _ = strings.Cut(rest, "== ")
	ids := map[string]string{}
	for line := range strings.Lines(rest) {
		if name, id, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			ids[name] = id
		}
	}
	if len(ids) != mapsOfProgram {
		t.Fatalf("%s: %d maps, want %d\n%s", mark, len(ids), mapsOfProgram, out)
	}
	return ids
}

// pinned prints "NAME ID" of each pin of the program's own maps; zone2 is in one of them.
const pinned = `for pin in $(ls -d /sys/fs/bpf/bpfmap/edge/* | grep -v zone2); do
	echo "$(basename $pin) $(bpftool map show pinned $pin | sed -n '1s/:.*//p')"
done
`

// TestDocumentation runs what the documentation shows, word by word, on a machine with the maps of
// testdata/maps.
func TestDocumentation(t *testing.T) {
	s := readShown(t)
	source, err := os.ReadFile("testdata/firewall.bpf.c")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.ReplaceAll(string(source), "PINNING)", "LIBBPF_PIN_BY_NAME)"), strings.ReplaceAll(s.declaration, "1024", "MAX_RULES")) {
		t.Errorf("the program doesn't declare its map as shown:\n%s", s.declaration)
	}
	dir := shownPrograms(t, s)
	t.Run("we come first", func(t *testing.T) {
		out := onMachine(t, dir, "./bpfmap apply -f maps/\n"+
			"echo == made\n"+pinned+"echo == libbpf\n./by-libbpf\necho == cilium\n./by-cilium\n"+s.bpftool+
			"\necho == bpftool\n"+`for id in $(bpftool -j prog show pinned /sys/fs/bpf/firewall | grep -o '"map_ids":\[[0-9,]*\]' | tr -c '0-9\n' ' '); do
	bpftool map show id $id | sed -n '1s/^\([0-9]*\):.* name \([^ ]*\) .*/\2 \1/p'
done
`)
		made := pairs(t, out, "made")
		for _, loader := range []string{"libbpf", "cilium"} {
			if ids := pairs(t, out, loader); !sameIDs(ids, made) {
				t.Errorf("%s has the maps %v, we made %v", loader, ids, made)
			}
		}
		if ids := pairs(t, out, "bpftool"); !sameIDs(ids, made) {
			t.Errorf("the program that bpftool loaded has the maps %v, we made %v", ids, made)
		}
	})
	for _, loader := range []string{"by-libbpf", "by-cilium"} {
		t.Run(loader+" comes first", func(t *testing.T) {
			out := onMachine(t, dir, s.directories+"\necho == theirs\n./"+loader+"\necho == applied\n./bpfmap apply -f maps/\necho == ours\n"+pinned)
			if theirs, ours := pairs(t, out, "theirs"), pairs(t, out, "ours"); !sameIDs(theirs, ours) || strings.Count(out, " adopted") != len(ours) {
				t.Errorf("they made %v, at the pins are %v:\n%s", theirs, ours, out)
			}
		})
	}
}

func sameIDs(a, b map[string]string) bool {
	for name, id := range a {
		if b[name] != id || id == "" {
			return false
		}
	}
	return len(a) == len(b)
}

// TestDirectoriesThatLoadersMake holds the documentation to what it says of them.
func TestDirectoriesThatLoadersMake(t *testing.T) {
	for _, c := range []struct {
		loader string
		exists string // below the BPF file system
		loads  bool
	}{
		{"libbpf", "bpfmap", true}, {"libbpf", "", false},
		{"cilium", "bpfmap/edge", true}, {"cilium", "bpfmap", false},
	} {
		w := newWorld(t)
		w.must(os.MkdirAll(filepath.Join(w.bpffs, c.exists), 0o755))
		p, err := loaders[c.loader](t, object(t), w.root)
		if (err == nil) != c.loads {
			t.Errorf("%s, when %q exists: %v, want it to load: %t", c.loader, c.exists, err, c.loads)
		}
		if err != nil {
			continue
		}
		w.must(p.close())
		if st, err := os.Stat(w.root); c.loader == "libbpf" && (err != nil || st.Mode().Perm() != 0o700) {
			t.Errorf("libbpf made the directory %v, %v", st, err)
		}
	}
}
