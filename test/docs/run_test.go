// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/test/docs"
)

// limit bounds the script of a page.
const limit = 10 * time.Minute

// script is what a page's blocks do in a world: their commands with the files that they use, in the page's order.
func script(p docs.Page, world string) (text string, all []docs.Step) {
	var out strings.Builder
	for _, b := range p.Blocks {
		switch b.Mark.Verb {
		case "file":
			const end = "END OF THE FILE"
			fmt.Fprintf(&out, "mkdir -p \"$(dirname %[1]q)\"\ncat >%[1]q <<'%[2]s'\n%[3]s%[2]s\n", b.Mark.Argument, end, b.Text)
		case "run":
			if !slices.Contains(strings.Fields(b.Mark.Argument), world) {
				continue
			}
			for _, s := range docs.Steps(b) {
				all = append(all, s)
				fmt.Fprintf(&out, "printf '\\n== %s\\n'\n", s.Name)
				if s.Console && s.Shown {
					fmt.Fprintf(&out, "set +e\n%s\nset -e\n", s.Command)
				} else {
					out.WriteString(s.Command + "\n")
				}
			}
		}
	}
	return out.String(), all
}

// play runs the blocks of a page in a world, by a command that takes a script, in a folder, and compares what they print
// with what the page shows.
func play(t *testing.T, p docs.Page, world string, run func(ctx context.Context, script string) *exec.Cmd) {
	t.Helper()
	text, all := script(p, world)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := run(ctx, "set -e -o pipefail\nexec 2>&1\n"+text+"printf '\\n== end\\n'\n")
	cmd.Dir = t.TempDir()
	for _, dir := range []string{cmd.Dir, filepath.Dir(cmd.Dir)} { // pages become other users
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd.WaitDelay = time.Second
	start := time.Now()
	out, err := cmd.Output()
	t.Logf("%s: %d blocks in %s", p.Path, len(all), time.Since(start).Round(100*time.Millisecond))
	if err != nil || !strings.Contains(string(out), "\n== end\n") {
		t.Fatalf("%s: %v\n%s", p.Path, err, out)
	}
	for _, s := range all {
		_, printed, _ := strings.Cut(string(out), "\n== "+s.Name+"\n")
		printed, _, _ = strings.Cut(printed, "\n== ")
		if s.Shown && !docs.Alike(s.Output, printed) {
			t.Errorf("%s: the page shows\n%s\nand it prints\n%s", s.Name, s.Output, printed)
		}
	}
}

func TestAlike(t *testing.T) {
	for _, test := range []struct {
		shown, printed string
		want           bool
	}{
		{"a  b\n", "a b\n", true}, {"a\n", "a\nb\n", false}, {"a\n…\n", "a\nb\nc\n", true}, {"map …, 4\n", "map 12, 4\n", true},
		{"map …, 4\n", "map 12, 5\n", false}, {"…\nc\n", "a\nb\nc\n", true}, {"a.\n", "ab\n", false}, {"a\n", "", false},
	} {
		if got := docs.Alike(test.shown, test.printed); got != test.want {
			t.Errorf("%q and %q: %t", test.shown, test.printed, got)
		}
	}
}

// in are the pages that have something to run in a world.
func in(t *testing.T, world string) (some []docs.Page) {
	t.Helper()
	for _, p := range pages(t) {
		if _, all := script(p, world); len(all) > 0 {
			some = append(some, p)
		}
	}
	if len(some) == 0 {
		t.Fatalf("no page has anything to run on %s", world)
	}
	return some
}

// withBinary is PATH with the binary first.
func withBinary() string { return "PATH=" + filepath.Dir(bpfmap) + ":" + os.Getenv("PATH") }

// machine is a machine of its own, as far as a page can tell: a BPF file system, and a network without anything.
const machine = `mount -t bpf -o mode=0755 bpf /sys/fs/bpf
mkdir -p /run/netns
mount -t tmpfs none /run/netns
ip link set lo up
`

// TestOnMachine runs the blocks of each page that need a machine and no cluster: this kernel, real programs and packets.
func TestOnMachine(t *testing.T) { onMachine(t, "machine") }

// TestWithRust runs those that need a Rust compiler, too. Debian's is too large for CI: make test-rust installs it.
func TestWithRust(t *testing.T) {
	if _, err := exec.LookPath("rustc"); err != nil {
		if os.Getenv("RUST") != "" {
			t.Fatal(err)
		}
		t.Skip("no rustc: make test-rust installs it")
	}
	onMachine(t, "rust")
}

func onMachine(t *testing.T, world string) {
	t.Helper()
	for _, p := range in(t, world) {
		t.Run(p.Path, func(t *testing.T) {
			play(t, p, world, func(ctx context.Context, script string) *exec.Cmd {
				cmd := exec.CommandContext(ctx, "unshare", "--mount", "--net", "--propagation", "private", "bash", "-c", machine+script)
				cmd.Env = append(os.Environ(), withBinary(), "REPOSITORY="+root)
				return cmd
			})
		})
	}
}
