// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// numbers writes numbers into a map as keys and values.
func numbers(t *testing.T, m *bpf.Map, from, to int) {
	t.Helper()
	b := make([]byte, 4*(to-from))
	for i := range to - from {
		binary.NativeEndian.PutUint32(b[4*i:], uint32(from+i))
	}
	if _, err := m.UpdateBatch(t.Context(), b, b, bpf.Any); err != nil {
		t.Fatal(err)
	}
}

// TestTopOnATerminal: a map's entries as they change, another size of the terminal, keys, and a terminal that is given back
// however it ends.
func TestTopOnATerminal(t *testing.T) {
	bpffs := bpftest.BPFFS(t)
	m, err := bpf.Create(bpf.CreateOpts{Name: "on_terminal", Type: bpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	if err := m.Pin(filepath.Join(bpffs, "p\x1b[2J")); err != nil {
		t.Fatal(err)
	}
	numbers(t, m, 0, 100)
	top := []string{"top", "--bpffs", bpffs, "--name", "on_terminal", "-i", "100ms"}
	for name, end := range map[string]func(*testing.T, *terminal){
		"q":       func(t *testing.T, tty *terminal) { tty.types(t, "q") },
		"Ctrl-C":  func(t *testing.T, tty *terminal) { tty.types(t, "\x03") },
		"Ctrl-D":  func(t *testing.T, tty *terminal) { tty.types(t, "\x04") },
		"SIGINT":  func(t *testing.T, tty *terminal) { signalTo(t, tty, syscall.SIGINT) },
		"SIGTERM": func(t *testing.T, tty *terminal) { signalTo(t, tty, syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			tty := onTerminal(t, window(80, 24), nil, top...)
			tty.shows(t, 80, 24, "1 map,", "CHANGE/S", "on_terminal", "q quit")
			end(t, tty)
			if shown := tty.ends(t, 0); !strings.HasPrefix(shown, "\x1b[?1049h\x1b[?25l") || strings.Contains(shown, "Error") {
				t.Errorf("shown: %q", shown)
			}
		})
	}
	tty := onTerminal(t, window(80, 24), nil, top...)
	tty.shows(t, 80, 24, "by fill", "on_terminal")
	if counts(t, bpffs) {
		tty.shows(t, 80, 24, "on_terminal 100 1000 10")
		numbers(t, m, 100, 960)
		tty.shows(t, 80, 24, "on_terminal 960 1000 \x1b[31m96%") // red from 95 % on
	}
	tty.types(t, "n")
	tty.shows(t, 80, 24, "by name")
	tty.types(t, "Q")
	tty.ends(t, 0)

	// Another size is shown at once, and not with the next look.
	tty = onTerminal(t, window(80, 24), nil, "top", "--bpffs", bpffs, "--name", "on_terminal", "-i", "1h")
	tty.shows(t, 80, 24, "by fill", "on_terminal")
	for _, size := range [][2]int{{160, 24}, {200, 5}, {40, 10}, {80, 3}} {
		if err := pty.Setsize(tty.keyboard, window(size[0], size[1])); err != nil { // the kernel sends SIGWINCH
			t.Fatal(err)
		}
		want := map[bool]string{true: `p\u001b[2J`, false: "sort: f fill"}[size[0] >= 130 && size[1] > 3]
		await.Nil(t, patience, func() error {
			frame := tty.frame()
			text := strings.Join(frame, "\n")
			if len(frame) > size[1] || !strings.Contains(text, want) || size[0] < 130 && strings.Contains(text, "PINS") {
				return fmt.Errorf("on %d columns and %d lines:\n%s", size[0], size[1], text)
			}
			return nil
		})
		tty.shows(t, size[0], size[1], want)
	}
	tty.types(t, "q")
	tty.ends(t, 0)
}

// counts says whether this kernel counts entries of hashes.
func counts(t *testing.T, bpffs string) bool {
	t.Helper()
	p := start(t, "list", "--bpffs", bpffs, "--name", "on_terminal", "-o", "json")
	var out bytes.Buffer
	if _, err := out.ReadFrom(p.out); err != nil {
		t.Fatal(err)
	}
	p.ends(t, 0, "")
	return strings.Contains(out.String(), `"entryCount": 100`)
}

func signalTo(t *testing.T, tty *terminal, s syscall.Signal) {
	t.Helper()
	if err := tty.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// TestProgressOnATerminal: work that takes longer than people like to wait for shows how far it is, on a terminal alone, and
// takes that away again.
func TestProgressOnATerminal(t *testing.T) {
	folder := t.TempDir()
	for i := range 3 {
		text := fmt.Sprintf("{apiVersion: bpfmap.io/v1alpha1, kind: BPFMap, metadata: {name: m%d}, spec: {"+
			"type: Hash, key: {type: u32}, value: {type: u8}, maxEntries: 4}}", i)
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("m%d.yaml", i)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// hold holds the lock of the third map, so that apply waits after two.
	hold := func(bpffs string) (release func()) {
		lock, err := pinstore.New(bpffs, pinstore.Options{}).Lock(t.Context(), revision.Key{Namespace: "default", Name: "m2"})
		if err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := lock.Unlock(); err != nil {
				t.Error(err)
			}
		}
	}
	quiet, shown, narrow := bpftest.BPFFS(t), bpftest.BPFFS(t), bpftest.BPFFS(t)
	releases := []func(){hold(quiet), hold(shown), hold(narrow)}
	piped := start(t, "apply", "--bpffs", quiet, "-f", folder) // first: what the others show, it had the time for
	wide := onTerminal(t, window(160, 24), nil, "apply", "--bpffs", shown, "-f", folder)
	tty := onTerminal(t, window(80, 24), nil, "apply", "--bpffs", narrow, "-f", folder)
	for _, tty := range []*terminal{wide, tty} {
		await.Nil(t, patience, func() error {
			if s := tty.screen(); !strings.Contains(s, "(2/3)") {
				return fmt.Errorf("no progress: %q", s)
			}
			return nil
		})
	}
	for _, release := range releases {
		release()
	}
	if _, err := piped.out.WriteTo(new(bytes.Buffer)); err != nil {
		t.Fatal(err)
	}
	piped.ends(t, 0, "")
	if piped.errOut.Len() > 0 {
		t.Errorf("standard error isn't a terminal: %q", piped.errOut)
	}
	for columns, tty := range map[int]*terminal{160: wide, 80: tty} {
		text := tty.ends(t, 0)
		for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\r' || r == '\n' }) {
			fits(t, columns, erasures.ReplaceAllString(part, ""))
		}
		all := erasures.FindAllStringIndex(text, -1)
		last := text[all[len(all)-1][1]:]
		if strings.Contains(last, "2/3") || !strings.Contains(last, "default/m2 created") {
			t.Errorf("the bar is left beside what was done: %q", text)
		}
	}
}

// TestColoursOnATerminal: only there, and not where somebody said no; names and values are never commands.
func TestColoursOnATerminal(t *testing.T) {
	bpffs := bpftest.BPFFS(t)
	manifest := filepath.Join(t.TempDir(), "m\x1b[2J.yaml")
	const spec = `{apiVersion: bpfmap.io/v1alpha1, kind: BPFMap, metadata: {namespace: edge, name: hosts}, spec: {
  type: Hash, key: {type: string, size: 64}, maxEntries: 4,
  value: {fields: [{name: first, type: string, size: 48}, {name: second, type: string, size: 48}, {name: third, type: string, size: 48}]},
  entries: [{key: "\e[2Jk", value: {first: "\e]0;t\a and more that somebody wrote there", second: "\u009b31m", third: "a value that is long as well"}}]}}
`
	if err := os.WriteFile(manifest, []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	diff := []string{"diff", "--bpffs", bpffs, "-f", manifest}
	for _, columns := range []int{80, 160} {
		for _, c := range []struct {
			env, args []string
			coloured  bool
		}{
			{nil, nil, true},
			{[]string{"NO_COLOR=1"}, nil, false},
			{[]string{"NO_COLOR="}, nil, true}, // no-color.org: when present and not empty
			{[]string{"TERM=dumb"}, nil, false},
			{nil, []string{"--color=never"}, false},
			{[]string{"NO_COLOR=1"}, []string{"--color=always"}, true},
		} {
			text := onTerminal(t, window(columns, 24), c.env, append(diff, c.args...)...).ends(t, 1)
			if coloured := strings.Contains(text, "\x1b[32m"); coloured != c.coloured {
				t.Errorf("%v %v: colours %t, want %t: %q", c.env, c.args, coloured, c.coloured, text)
			}
			fits(t, columns, text)
			if !strings.Contains(text, `"\x1b[2Jk"`) {
				t.Errorf("the key isn't shown: %q", text)
			}
		}
	}
	p := start(t, diff...)
	var out bytes.Buffer
	if _, err := out.ReadFrom(p.out); err != nil {
		t.Fatal(err)
	}
	p.ends(t, 1, "")
	if strings.Contains(out.String(), "\x1b") || strings.Count(out.String(), "\n") != 3 {
		t.Errorf("without a terminal there are no colours, and lines are whole:\n%s", out.String())
	}
	for _, args := range [][]string{{"apply", "--plan", "-f", manifest}, {"list"}, {"list", "-o", "wide"}, {"dump", "edge/hosts"}, {"diff", "-f", manifest},
		{"validate", "-f", manifest}, {"top", "--once", "-i", "100ms"}, {"list", "--type", "\x1b[2J"}} {
		columns := 80
		if args[0] == "dump" {
			columns = 1000 // elements are in a line each, for grep
		}
		if args[0] != "validate" {
			args = append(args, "--bpffs", bpffs)
		}
		code := 0
		if slices.Contains(args, "\x1b[2J") {
			code, columns = 2, 1000 // messages are in a line, too
		}
		fits(t, columns, onTerminal(t, window(80, 24), nil, args...).ends(t, code))
	}
}

// TestCtrlCOnATerminal: typed while the terminal is in its usual mode, it is a signal, and the bar is taken away.
func TestCtrlCOnATerminal(t *testing.T) {
	tty := onTerminal(t, window(80, 24), nil, "dump", "--pin", large(t, 1_000_000))
	await.Nil(t, patience, func() error {
		if len(tty.screen()) == 0 {
			return errors.New("nothing is shown")
		}
		return nil
	})
	tty.types(t, "\x03")
	if text := tty.ends(t, 130); !strings.Contains(text, "Error: interrupted: the output is incomplete") {
		t.Errorf("%d bytes are shown, and not that it was interrupted", len(text))
	}
}
