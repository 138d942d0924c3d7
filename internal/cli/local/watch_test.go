// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// patience is how long something may take that is about to happen.
const patience = 90 * time.Second

// output is what a command that runs has printed so far.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// watched is apply --watch over a folder of its own.
type watched struct {
	t          *testing.T
	dir, bpffs string
	out        output
	// read is how much of the output was waited for.
	read int
	end  func()
}

// newWatched makes folders; start runs the command.
func newWatched(t *testing.T) *watched {
	t.Helper()
	return &watched{t: t, dir: t.TempDir(), bpffs: mountBPFFS(t)}
}

// start watches the folder maps, or what args say.
func (w *watched) start(args ...string) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	root := &cobra.Command{Use: "bpfmap", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(Commands()...)
	root.SetOut(&w.out)
	root.SetErr(&w.out)
	if !slices.Contains(args, "-f") {
		args = append([]string{"-f", filepath.Join(w.dir, "maps")}, args...)
	}
	root.SetArgs(append([]string{"apply", "--watch", "--bpffs", w.bpffs}, args...))
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(ctx) }()
	w.end = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				w.t.Errorf("it ended with %v", err)
			}
		case <-time.After(patience):
			w.t.Error("it doesn't end")
		}
		if w.t.Failed() {
			w.t.Logf("it printed\n%s", w.out.String())
		}
	})
	w.t.Cleanup(w.end)
}

// file writes a file below the folder, in the place of another one as editors do.
func (w *watched) file(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	mkdir(w.t, filepath.Dir(path))
	writeFile(w.t, path+"~", text)
	if err := os.Rename(path+"~", path); err != nil {
		w.t.Fatal(err)
	}
}

// prints waits for a line with a text after those that were waited for before, and returns it.
func (w *watched) prints(text string) string {
	w.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		all := w.out.String()
		at := w.read
		for line := range strings.SplitAfterSeq(all[at:], "\n") {
			at += len(line)
			if strings.HasSuffix(line, "\n") && strings.Contains(line, text) {
				w.read = at
				return strings.TrimSpace(line)
			}
		}
	}
	w.t.Fatalf("it doesn't print %q; it printed\n%s", text, w.out.String())
	return ""
}

// silent fails if a text was printed that wasn't waited for.
func (w *watched) silent(text string) {
	w.t.Helper()
	if rest := w.out.String()[w.read:]; strings.Contains(rest, text) {
		w.t.Errorf("it printed %q:\n%s", text, rest)
	}
}

func (w *watched) pin(name string) string { return filepath.Join(w.bpffs, "bpfmap/default", name) }

// holds waits until a map's elements are those.
func (w *watched) holds(name, want string) {
	w.t.Helper()
	var r result
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		r = run(w.t, "dump", "--sort", "--pin", w.pin(name))
		if got, _, ok := strings.Cut(r.out, "Found"); ok && r.code == 0 && got == want {
			return
		}
	}
	w.t.Fatalf("map %s doesn't hold\n%sit holds\n%s", name, want, r)
}

// stays fails unless a map's elements are those now.
func (w *watched) stays(name, want string) {
	w.t.Helper()
	got, _, _ := strings.Cut(ok(w.t, "dump", "--sort", "--pin", w.pin(name)), "Found")
	equal(w.t, got, want)
}

// table is a manifest with entries.
func table(name string, entries ...string) string {
	text := minimalManifest(name, 16)
	if len(entries) > 0 {
		text += "  entries: [" + strings.Join(entries, ", ") + "]\n"
	}
	return text
}

// fed is a manifest with a source.
func fed(name, from string) string {
	return minimalManifest(name, 16) + "  entriesFrom: [{" + from + "}]\n"
}

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

func TestWatchLocalSources(t *testing.T) {
	w := newWatched(t)
	w.file("lists/file", "1\n2\n")
	w.file("lists/given", "1\n")
	w.file("maps/a.yaml", fed("a", "file: {path: ../lists/file}, format: Lines, value: 1"))
	w.file("maps/b.yaml", fed("b", "configMapRef: {name: given, key: given}, format: Lines, value: 2"))
	w.file("maps/c.yaml", fed("c", "configMapRef: {name: among, key: list}, format: Lines, value: 3"))
	w.file("maps/d.yaml", fed("d", "configMapSelector: {matchLabels: {feed: d}}, format: Lines, value: 4"))
	among := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: among, labels: {feed: d}}\ndata: {list: \"%s\"}\n"
	w.file("maps/z1.yaml", fmt.Sprintf(among, "1\\n2"))
	second := strings.Replace(among, "among", "second", 1)
	w.file("maps/z2.yaml", fmt.Sprintf(second, "5"))
	w.start("--from-file", "given="+filepath.Join(w.dir, "lists/given"))
	for _, name := range []string{"a", "b", "c", "d"} {
		w.prints("default/" + name + " created")
	}
	w.holds("d", "1 = 4\n2 = 4\n5 = 4\n")

	w.file("lists/file", "1\n3\n")
	w.prints("default/a configured")
	w.holds("a", "1 = 1\n3 = 1\n")
	w.file("lists/given", "4\n")
	w.prints("default/b configured")
	w.holds("b", "4 = 2\n")
	w.file("maps/z1.yaml", fmt.Sprintf(among, "8"))
	w.prints("default/c configured")
	w.holds("c", "8 = 3\n")
	w.holds("d", "5 = 4\n8 = 4\n")

	// Files that are gone leave the contents as they are.
	for _, name := range []string{"file", "given"} {
		if err := os.Remove(filepath.Join(w.dir, "lists", name)); err != nil {
			t.Fatal(err)
		}
		w.prints("no such file")
	}
	// A file that can't be read may hold ConfigMaps that a selector finds.
	w.file("maps/z2.yaml", "a: [")
	w.prints("default/d: spec.entriesFrom: selects ConfigMaps by labels")
	for name, want := range map[string]string{"a": "1 = 1\n3 = 1\n", "b": "4 = 2\n", "d": "5 = 4\n8 = 4\n"} {
		w.stays(name, want)
	}
	w.file("lists/file", "6\n")
	w.prints("default/a configured")
	w.file("lists/given", "6\n")
	w.prints("default/b configured")
	if err := os.Remove(filepath.Join(w.dir, "maps/z2.yaml")); err != nil {
		t.Fatal(err)
	}
	w.prints("default/d configured")
	w.holds("d", "8 = 4\n")
}

// TestWatchLimits holds a source to what it was before.
func TestWatchLimits(t *testing.T) {
	w := newWatched(t)
	w.file("list", "1\n2\n3\n4\n")
	w.file("maps/a.yaml", fed("a", "file: {path: ../list}, format: Lines, value: 1, limits: {maxChange: 50%}"))
	w.start()
	w.prints("default/a created")
	w.file("list", "1\n")
	w.prints("more than limits.maxChange 50% allows")
	w.stays("a", "1 = 1\n2 = 1\n3 = 1\n4 = 1\n")
	w.file("list", "1\n2\n3\n")
	w.prints("default/a configured")
}

// TestWatchWriters reads a file once nobody writes to it any more.
func TestWatchWriters(t *testing.T) {
	w := newWatched(t)
	w.file("list", "1\n")
	w.file("maps/a.yaml", fed("a", "file: {path: ../list}, format: Lines, value: 1"))
	w.file("maps/b.yaml", table("b"))
	w.start()
	w.prints("default/b created")

	// In pieces, closed in between.
	path := filepath.Join(w.dir, "list")
	writeFile(t, path, "")
	for i := range 10 {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = fmt.Fprintln(file, i)
		if closeErr := file.Close(); err != nil || closeErr != nil {
			t.Fatal(err, closeErr)
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.prints("default/a configured")
	w.holds("a", "0 = 1\n1 = 1\n2 = 1\n3 = 1\n4 = 1\n5 = 1\n6 = 1\n7 = 1\n8 = 1\n9 = 1\n")

	// Slowly, by a writer that keeps it open: others go on meanwhile.
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(file, 3); err != nil {
		t.Fatal(err)
	}
	w.file("maps/b.yaml", table("b", "{key: 1, value: 1}"))
	w.prints("list has been written to since")
	w.prints("default/b configured")
	w.stays("a", "0 = 1\n1 = 1\n2 = 1\n3 = 1\n4 = 1\n5 = 1\n6 = 1\n7 = 1\n8 = 1\n9 = 1\n")
	if _, err := fmt.Fprintln(file, 4); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	w.prints("default/a configured")
	w.holds("a", "3 = 1\n4 = 1\n")
}

func TestWatchHTTP(t *testing.T) {
	var mu sync.Mutex
	text, status, whole, unchanged := "1\n2\n", http.StatusOK, 0, 0
	set := func(newText string, newStatus int) {
		mu.Lock()
		defer mu.Unlock()
		text, status = newText, newStatus
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		tag := fmt.Sprintf("%q", text)
		switch {
		case status != http.StatusOK:
			w.WriteHeader(status)
		case r.Header.Get("If-None-Match") == tag:
			unchanged++
			w.WriteHeader(http.StatusNotModified)
		default:
			whole++
			w.Header().Set("ETag", tag)
			_, _ = io.WriteString(w, text)
		}
	}))
	defer server.Close()
	w := newWatched(t)
	w.file("maps/a.yaml", fed("a", `http: {url: "`+server.URL+`/list", interval: 10ms}, format: Lines, value: 1`))
	cache := filepath.Join(w.dir, "cache")
	w.start("--min-source-interval", "50ms", "--source-cache-dir", cache)
	w.prints("default/a created")
	w.holds("a", "1 = 1\n2 = 1\n")
	set("1\n3\n", http.StatusOK)
	w.prints("default/a configured")
	w.holds("a", "1 = 1\n3 = 1\n")
	set("", http.StatusTeapot)
	w.prints("could not be fetched since")
	w.stays("a", "1 = 1\n3 = 1\n")
	set("1\n3\n", http.StatusOK)
	w.prints("/list was fetched again")
	asked := func() int {
		mu.Lock()
		defer mu.Unlock()
		return unchanged
	}
	for end, before := time.Now().Add(patience), asked(); asked() < before+3; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it isn't fetched again")
		}
	}
	mu.Lock()
	if whole != 2 {
		t.Errorf("%d whole answers, want 2", whole)
	}
	mu.Unlock()
	w.end()
	w.silent("default/a")

	// The next process has the contents of the last one, though the server is gone.
	server.Close()
	w.file("maps/b.yaml", fed("b", `http: {url: "`+server.URL+`/list", interval: 10ms}, format: Lines, value: 2`))
	w.start("--min-source-interval", "50ms", "--source-cache-dir", cache)
	w.prints("default/a unchanged")
	w.prints("default/b created")
	w.holds("b", "1 = 2\n3 = 2\n")
}

// TestWatchFirstFetch makes no map before its source was fetched.
func TestWatchFirstFetch(t *testing.T) {
	var mu sync.Mutex
	up := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if !up {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "1\n")
	}))
	defer server.Close()
	w := newWatched(t)
	w.file("maps/a.yaml", fed("a", `http: {url: "`+server.URL+`"}, format: Lines, value: 1`))
	w.start("--min-source-interval", "50ms")
	w.prints("could not be fetched since")
	if _, err := os.Stat(w.pin("a")); err == nil {
		t.Error("there is a map")
	}
	mu.Lock()
	up = true
	mu.Unlock()
	w.prints("default/a created")
	w.holds("a", "1 = 1\n")
}

func TestWatchExpiry(t *testing.T) {
	w := newWatched(t)
	soon := time.Now().Add(5 * time.Second).Unix()
	w.file("list.csv", fmt.Sprintf("key,value,expires\n1,1,%d\n2,2,\n", soon))
	w.file("maps/a.yaml", fed("a", "file: {path: ../list.csv}, format: CSV"))
	w.start()
	w.prints("default/a created")
	w.holds("a", "2 = 2\n")
	w.prints("default/a configured")
	if time.Now().Unix() < soon {
		t.Error("the entry went before its time")
	}
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
	w.end()
	w.silent("default/a") // a map that is as declared is nothing to tell of
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
