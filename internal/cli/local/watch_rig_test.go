// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
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
