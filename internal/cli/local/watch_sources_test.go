// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

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
	w.silent("default/a")
	w.end()

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

// TestWatchLifetimes: a lifetime from the first sight, which only the controller remembers, is refused, and the map keeps
// its contents.
func TestWatchLifetimes(t *testing.T) {
	w := newWatched(t)
	w.file("list", "1\n")
	w.file("maps/a.yaml", fed("a", "file: {path: ../list}, format: Lines, value: 1"))
	w.start()
	w.prints("default/a created")
	w.file("list", "2\n")
	w.file("maps/a.yaml", fed("a", "file: {path: ../list}, format: Lines, value: 1, expireAfter: 24h"))
	w.prints("spec.entriesFrom[0].expireAfter: 24h0m0s: only the controller remembers")
	w.stays("a", "1 = 1\n")
	w.file("maps/a.yaml", fed("a", "file: {path: ../list}, format: Lines, value: 1"))
	w.prints("default/a configured")
	w.holds("a", "2 = 1\n")
}

func TestWatchExpiry(t *testing.T) {
	w := newWatched(t)
	soon := time.Now().Add(10 * time.Second).Unix() // the map is made before, also on an emulated CPU
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
