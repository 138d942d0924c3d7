// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

func TestWatchManifests(t *testing.T) {
	w := newWatched(t)
	w.file("maps/a.yaml", table("a", "{key: 1, value: 1}"))
	w.file("maps/b.yaml", table("b"))
	w.start("--plan")
	w.prints("default/a created (map ")
	w.prints("default/b created (map ")

	// In place, and renamed over.
	writeFile(t, filepath.Join(w.dir, "maps/a.yaml"), table("a", "{key: 1, value: 2}"))
	w.prints("default/a: update: 1 entry changed")
	w.prints("default/a configured (map ")
	w.holds("a", "1 = 2\n")
	w.file("maps/a.yaml", table("a", "{key: 1, value: 3}"))
	w.prints("default/a configured (map ")
	w.holds("a", "1 = 3\n")

	// What isn't a change of a map is nothing to tell of.
	w.file("maps/a.yaml", "# a comment\n"+table("a", "{key: 1, value: 3}"))
	w.file("maps/notes.txt", "nothing")
	w.file("maps/c.yml", table("c", "{key: 7, value: 7}"))
	if line := w.prints("default/"); !strings.Contains(line, "default/c: create") {
		t.Errorf("it printed %s", line)
	}
	w.prints("default/c created")

	// Gone: the map stays, and nobody cares for it any more.
	if err := os.Remove(filepath.Join(w.dir, "maps/c.yml")); err != nil {
		t.Fatal(err)
	}
	w.prints("default/c is in no manifest any more: the map stays as it is")
	w.stays("c", "7 = 7\n")
	w.file("maps/c.yml", table("c", "{key: 7, value: 7}"))
	w.prints("default/c unchanged")

	// The folder is emptied.
	for _, name := range []string{"a.yaml", "b.yaml", "c.yml"} {
		if err := os.Remove(filepath.Join(w.dir, "maps", name)); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		w.prints("is in no manifest any more")
	}
	w.end()
	w.silent("Error")
}

func TestWatchBadEdits(t *testing.T) {
	w := newWatched(t)
	w.file("maps/a.yaml", table("a", "{key: 1, value: 1}"))
	w.file("maps/b.yaml", table("b", "{key: 1, value: 1}"))
	w.start()
	w.prints("default/b created")
	bad := table("a", "{key: 1, value: 300}")
	for _, tt := range []struct{ bad, message string }{
		{bad, "a.yaml:9: default/a: spec.entries[0].value: 300 is out of range"},
		{"a: [", "a.yaml"},
		{strings.Replace(bad, "maxEntries", "maxEntrys", 1), "a.yaml:8: default/a: spec.maxEntrys: unknown field"},
	} {
		w.file("maps/a.yaml", tt.bad)
		w.prints(tt.message)
	}
	w.file("maps/b.yaml", table("b", "{key: 1, value: 2}"))
	w.prints("default/b configured")
	w.stays("a", "1 = 1\n")
	w.silent("in no manifest")

	w.file("maps/a.yaml", table("a", "{key: 1, value: 1}"))
	w.prints("default/a unchanged")
	w.file("maps/a.yaml", bad)
	w.prints("out of range")
	w.file("maps/a.yaml", table("a", "{key: 1, value: 4}"))
	w.prints("default/a configured")
	w.holds("a", "1 = 4\n")

	// A second manifest of a name is a mistake of one of them.
	w.file("maps/c.yaml", table("a"))
	w.prints("declared twice")
	if err := os.Remove(filepath.Join(w.dir, "maps/c.yaml")); err != nil {
		t.Fatal(err)
	}
	w.prints("default/a unchanged")
	w.stays("a", "1 = 4\n")
}

// TestWatchBadFromTheBeginning applies what can be applied.
func TestWatchBadFromTheBeginning(t *testing.T) {
	w := newWatched(t)
	w.file("maps/a.yaml", table("a", "{key: 1, value: 300}"))
	w.file("maps/b.yaml", table("b"))
	w.start()
	w.prints("out of range")
	w.prints("default/b created")
	w.file("maps/a.yaml", table("a", "{key: 1, value: 3}"))
	w.prints("default/a created")
}

func TestWatchLinks(t *testing.T) {
	w := newWatched(t)
	w.file("v1/a.yaml", table("a", "{key: 1, value: 1}"))
	w.file("v2/a.yaml", table("a", "{key: 1, value: 2}"))
	w.file("v3/a.yaml", table("a", "{key: 1, value: 3}"))
	link := func(target, name string) {
		t.Helper()
		path := filepath.Join(w.dir, name)
		if err := os.Symlink(target, path+"~"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+"~", path); err != nil {
			t.Fatal(err)
		}
	}
	link("v1", "maps") // as ln -sfn does
	w.start()
	w.prints("default/a created")
	link("v2", "maps")
	w.prints("default/a configured")
	w.holds("a", "1 = 2\n")
	w.end()

	// As the kubelet does with the volume of a ConfigMap.
	mkdir(t, filepath.Join(w.dir, "volume"))
	link("../v2", "volume/..data")
	link("..data/a.yaml", "volume/a.yaml")
	w.start("-R", "-f", filepath.Join(w.dir, "volume"))
	w.prints("default/a unchanged")
	link("../v3", "volume/..data")
	w.prints("default/a configured")
	w.holds("a", "1 = 3\n")
}

func TestWatchNewFolders(t *testing.T) {
	w := newWatched(t)
	w.file("maps/a.yaml", table("a"))
	w.start("-R")
	w.prints("default/a created")
	w.file("maps/team/one/b.yaml", table("b"))
	w.prints("default/b created")
	w.file("maps/team/one/b.yaml", table("b", "{key: 1, value: 1}"))
	w.prints("default/b configured")
	if err := os.RemoveAll(filepath.Join(w.dir, "maps/team")); err != nil {
		t.Fatal(err)
	}
	w.prints("default/b is in no manifest")
	w.file("maps/team/one/b.yaml", table("b", "{key: 1, value: 2}"))
	w.prints("default/b configured")
}

func TestWatchDrift(t *testing.T) {
	w := newWatched(t)
	w.file("maps/a.yaml", table("a", "{key: 1, value: 1}"))
	w.start("--resync-period", "100ms")
	w.prints("default/a created")
	ok(t, "map", "update", "--pin", w.pin("a"), "--key", "1", "--value", "9")
	w.prints("default/a repaired: 1 entry changed")
	w.holds("a", "1 = 1\n")
	if err := os.Remove(w.pin("a")); err != nil {
		t.Fatal(err)
	}
	w.prints("default/a repaired: the pin was removed")
	w.holds("a", "1 = 1\n")
	calls := bpf.SystemCalls()
	for end := time.Now().Add(patience); bpf.SystemCalls() < calls+30; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the map isn't looked at")
		}
	}
	w.silent("default/a") // a map that is as declared is nothing to tell of
	w.end()
}

// TestWatchFailures goes on with other maps when one can't be made, and makes it once it can be.
func TestWatchFailures(t *testing.T) {
	w := newWatched(t)
	mkdir(t, filepath.Dir(w.pin("a")))
	ok(t, "map", "create", "--pin", w.pin("a"), "--type", "Hash", "--key-size", "4", "--value-size", "2", "--max-entries", "9")
	w.file("maps/a.yaml", table("a"))
	w.file("maps/b.yaml", table("b"))
	w.start()
	w.prints("default/a: Incompatible")
	w.prints("default/b created")
	if err := bpf.Unpin(w.pin("a")); err != nil {
		t.Fatal(err)
	}
	w.prints("default/a created")
	w.end()
	if n := strings.Count(w.out.String(), "Incompatible"); n != 1 {
		t.Errorf("it says so %d times", n)
	}
}

// TestWatchGroups changes the maps of a group together.
func TestWatchGroups(t *testing.T) {
	member := func(name, value string) string { return table(name, "{key: 1, value: "+value+"}") + "  group: g\n" }
	w := newWatched(t)
	w.file("maps/a.yaml", member("a", "1"))
	w.file("maps/b.yaml", member("b", "1"))
	w.start()
	w.prints("default/b created")
	w.file("maps/b.yaml", member("b", "300"))
	w.prints("out of range")
	w.file("maps/a.yaml", member("a", "2"))
	w.prints("default/a: spec.group: waits for the manifest of default/b")
	w.stays("a", "1 = 1\n")
	w.file("maps/b.yaml", member("b", "3"))
	w.prints("default/a configured")
	w.prints("default/b configured")
}

// TestWatchPins keeps two maps apart that want one pin.
func TestWatchPins(t *testing.T) {
	at := func(name, pin string) string { return table(name) + "  pin: {path: bpfmap/default/" + pin + "}\n" }
	w := newWatched(t)
	w.file("maps/a.yaml", at("a", "one"))
	w.file("maps/b.yaml", at("b", "two"))
	w.start()
	w.prints("default/b created")
	w.file("maps/b.yaml", at("b", "one"))
	w.prints("is also the pin of")
	w.stays("two", "")
	w.file("maps/b.yaml", at("b", "two"))
	w.prints("default/b unchanged")
}

func TestWatchManyFolders(t *testing.T) {
	w := newWatched(t)
	w.file("maps/a.yaml", table("a"))
	for i := range 1100 {
		mkdir(t, filepath.Join(w.dir, fmt.Sprintf("maps/%d", i)))
	}
	w.start("-R")
	w.prints("looked at every 2s: 1102 folders hold what is read, and at most 1024 are watched")
	w.prints("default/a created")
	w.file("maps/7/b.yaml", table("b"))
	w.prints("default/b created")
	for i := range 1100 {
		if err := os.RemoveAll(filepath.Join(w.dir, fmt.Sprintf("maps/%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	w.prints("Changes of files are told again")
}

func TestWatchUsage(t *testing.T) {
	bpffs := mountBPFFS(t)
	dir := t.TempDir()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--watch"}, "-f FILE is needed"},
		{[]string{"--watch", "-f", "-"}, "standard input (-f -) can't be watched"},
		{[]string{"--watch", "-f", dir + "/none"}, "nothing can be watched: stat " + dir + "/none: no such file"},
		{[]string{"--watch", "-f", dir, "--resync-period", "1ms"}, "must be at least 10ms"},
		{[]string{"--watch", "-f", dir, "--min-source-interval", "0s"}, "must be more than 0"},
		{[]string{"--watch", "-f", dir, "--from-file", "x"}, "must be NAME=PATH"},
		{[]string{"-f", dir, "--resync-period", "1m"}, "--resync-period is for --watch alone"},
		{[]string{"--watch", "-f", dir, "--bpffs", dir}, "mount -t bpf bpf"},
	} {
		if text := fails(t, append([]string{"apply", "--bpffs", bpffs}, tt.args...)...); !strings.Contains(text, tt.want) {
			t.Errorf("%v: %q, want %q", tt.args, text, tt.want)
		}
	}
}

// TestWatchInnerMaps puts a map that was made anew into the maps that hold it.
func TestWatchInnerMaps(t *testing.T) {
	inner := func(entries int) string {
		return strings.Replace(table("inner"), "maxEntries: 16", fmt.Sprintf("maxEntries: %d\n  replacePolicy: Swap", entries), 1)
	}
	w := newWatched(t)
	w.file("maps/inner.yaml", inner(4))
	w.file("maps/outer.yaml", `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {name: outer}
spec:
  type: HashOfMaps
  key: {type: u32}
  value: {type: mapRef}
  inner: {type: Hash, key: {type: u32}, value: {type: u8}, maxEntries: 4}
  maxEntries: 4
  entries: [{key: 1, value: inner}]
`)
	w.start()
	w.prints("default/inner created")
	w.prints("default/outer created")
	w.file("maps/inner.yaml", inner(8))
	w.prints("default/inner replaced")
	w.prints("default/outer ")
	if out := ok(t, "dump", "--pin", w.pin("outer")); !strings.Contains(out, "1 = inner") {
		t.Errorf("the outer map holds another one:\n%s", out)
	}
}
