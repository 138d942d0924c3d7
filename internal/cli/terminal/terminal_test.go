// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rivo/uniseg"
	"golang.org/x/sys/unix"
)

// hostile is what somebody calls a map who wants to write to other people's terminals.
const hostile = "a\x1b]0;title\x07\x1b[2J\u009b31mb\r\x7f\u202ec\xff"

func TestSanitize(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "",
		"edge/blocklist → ä": "edge/blocklist → ä",
		"two\nlines\t":       `two\u000alines\u0009`,
		hostile:              `a\u001b]0;title\u0007\u001b[2J\u009b31mb\u000d\u007f\u202ec\xff`,
		"\xe2\x82":           `\xe2\x82`,
	} {
		if got := Sanitize(text); got != want {
			t.Errorf("Sanitize(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestWriteSanitizes: wherever a text is cut between two writes, what comes out is the same, and no command.
func TestWriteSanitizes(t *testing.T) {
	text := "first\n\t" + hostile + "€\n"
	want := "first\n\t" + `a\u001b]0;title\u0007\u001b[2J\u009b31mb\u000d\u007f\u202ec\xff€` + "\n"
	for cut := range len(text) {
		var b bytes.Buffer
		o := Of(&b)
		for _, part := range []string{text[:cut], text[cut:]} {
			if n, err := o.Write([]byte(part)); n != len(part) || err != nil {
				t.Fatalf("Write = %d, %v", n, err)
			}
		}
		if err := o.Flush(); err != nil {
			t.Fatal(err)
		}
		if b.String() != want {
			t.Errorf("cut at %d: %q, want %q", cut, b.String(), want)
		}
	}
	var b bytes.Buffer
	o := Of(&b)
	o.Printf("%s", "\xe2\x82")
	if err := o.Flush(); err != nil || b.String() != `\xe2\x82` {
		t.Errorf("a character without an end: %q, %v", b.String(), err)
	}
}

// TestJSONStaysTheSame: what is left to escape in JSON is escaped as JSON has it.
func TestJSONStaysTheSame(t *testing.T) {
	const name = "\x1b[31m\u009b\x7f\u202e"
	var b bytes.Buffer
	if err := json.NewEncoder(Of(&b)).Encode(name); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\u009b\x7f\u202e") {
		t.Errorf("commands are left: %q", b.String())
	}
	var got string
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || got != name {
		t.Errorf("%q is read as %q, %v", b.String(), got, err)
	}
}

func TestStyles(t *testing.T) {
	var b bytes.Buffer
	o := Simulated(&b, 80, true)
	if err := o.Styled(Red, "no \x1b[32mgreen"); err != nil {
		t.Fatal(err)
	}
	if err := o.Lines("+ a\nb\n", func(line string) Style {
		if strings.HasPrefix(line, "+") {
			return Green
		}
		return Plain
	}); err != nil {
		t.Fatal(err)
	}
	if want := "\x1b[31mno \\u001b[32mgreen\x1b[0m\x1b[32m+ a\x1b[0m\nb\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	b.Reset()
	o.SetColour(Never)
	if err := o.Styled(Red, "plain"); err != nil || b.String() != "plain" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

func TestTable(t *testing.T) {
	table := Table{Columns: []Column{{Title: "ID", Right: true}, {Title: "NAME", Shrink: 1}, {Title: "OWNER", Shrink: 1}}}
	table.Row(7, "short", "-")
	table.Row(12345, strings.Repeat("n", 50), Cell{strings.Repeat("世", 30) + "\x1b[2J", Red})
	for _, width := range []int{80, 160, 40, 10} {
		for _, line := range table.Lines(width, false) {
			if w := uniseg.StringWidth(line); w > width || strings.Contains(line, "\x1b") {
				t.Errorf("%d columns instead of %d: %q", w, width, line)
			}
		}
	}
	var b bytes.Buffer
	if err := table.Write(Of(&b)); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("   ID  %-50s  OWNER\n    7  %-50s  -\n12345  %s  %s\\u001b[2J\n", "NAME", "short", strings.Repeat("n", 50), strings.Repeat("世", 30))
	if b.String() != want {
		t.Errorf("without a terminal nothing is cut:\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	if err := table.Write(Simulated(&b, 40, false)); err != nil {
		t.Fatal(err)
	}
	if want := "   ID  NAME             OWNER\n    7  short            -\n12345  nnnnnnnnnnnnnn…  世世世世世世世…\n"; b.String() != want {
		t.Errorf("on 40 columns:\n%s\nwant\n%s", b.String(), want)
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"世界", 3, "世…"}, {"世界", 4, "世界"}, {"abc", 1, "…"}, {"abc", 0, ""}} {
		if got := Cut(c.text, c.width); got != c.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", c.text, c.width, got, c.want)
		}
	}
}

func TestWrap(t *testing.T) {
	got := Wrap("A paragraph of several\nwords, filled again.\n\n  bpfmap list   --stays as it is, however long\n- one\n- two\nend", 20)
	want := "A paragraph of\nseveral words,\nfilled again.\n\n  bpfmap list   --stays as it is, however long\n- one\n- two\nend"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// openTerminal is a terminal of some columns, and the side on which a person sits.
func openTerminal(t *testing.T, columns int) (tty, person *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = tty.Close(), person.Close() })
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: uint16(columns)}); err != nil {
		t.Fatal(err)
	}
	return tty, person
}

func TestRealTerminal(t *testing.T) {
	tty, _ := openTerminal(t, 123)
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	out, errOut := Pair(tty, &bytes.Buffer{})
	if !out.IsTerminal() || out.Width() != 123 || out.Height() != 24 || !out.HasColour() {
		t.Errorf("terminal %t, %d×%d, colour %t", out.IsTerminal(), out.Width(), out.Height(), out.HasColour())
	}
	if errOut.IsTerminal() || errOut.Width() != 0 || errOut.HasColour() {
		t.Error("a buffer is taken for a terminal")
	}
	for name, value := range map[string]string{"NO_COLOR": "1", "TERM": "dumb"} {
		before := os.Getenv(name)
		t.Setenv(name, value)
		if Of(tty).HasColour() {
			t.Errorf("there are colours with %s=%s", name, value)
		}
		t.Setenv(name, before)
	}
	if Of(out) != out {
		t.Error("an Output is wrapped again")
	}
}

// TestProgress: the bar is shown while work goes on, out of the way of what is printed, and taken away at the end.
func TestProgress(t *testing.T) {
	var b bytes.Buffer
	o := Simulated(&b, 80, false)
	locked := func() string {
		o.screen.mu.Lock()
		defer o.screen.mu.Unlock()
		return b.String()
	}
	p := o.startProgress(t.Context(), "Applying a\x1b[2J", 4, time.Nanosecond)
	p.Add(1)
	for deadline := time.Now().Add(time.Minute); !strings.Contains(locked(), "1/4"); {
		if time.Now().After(deadline) {
			t.Fatalf("no progress is shown: %q", locked())
		}
		time.Sleep(time.Millisecond)
	}
	o.Printf("a line\n")
	p.Done()
	got := locked()
	if !strings.Contains(got, `Applying a\u001b[2J`) {
		t.Errorf("the title is missing or raw: %q", got)
	}
	before, _, found := strings.Cut(got, "a line\n")
	if i := strings.LastIndex(before, "\x1b[2K"); !found || i < 0 || strings.Contains(before[i:], "Applying") {
		t.Errorf("the bar is in the way of the line: %q", got)
	}
	if i := strings.LastIndex(got, "\x1b[2K"); strings.Contains(got[i:], "Applying") {
		t.Errorf("the bar is left: %q", got)
	}

	// A spinner, too, is drawn by nobody any more once work is done.
	b.Reset()
	spinner := o.startProgress(t.Context(), "Reading", 0, time.Nanosecond)
	for deadline := time.Now().Add(time.Minute); !strings.Contains(locked(), "Reading"); {
		if time.Now().After(deadline) {
			t.Fatalf("no spinner is shown: %q", locked())
		}
		time.Sleep(time.Millisecond)
	}
	spinner.Done()
	after := locked()
	time.Sleep(3 * progressEvery)
	if now := locked(); now != after {
		t.Errorf("it is drawn after the end: %q", now[len(after):])
	}

	b.Reset()
	quick := o.startProgress(t.Context(), "Quick", 4, time.Hour)
	quick.Done()
	none := StartProgress(t.Context(), &bytes.Buffer{}, "Nobody looks", 4)
	none.Add(1)
	none.Say("still nobody")
	none.Done()
	if b.Len() > 0 {
		t.Errorf("quick work shows %q", b.String())
	}
}

// TestFold: no part is wider than the terminal, nothing is lost, and what fits stays as it is.
func TestFold(t *testing.T) {
	for _, c := range []struct {
		line        string
		width, hang int
		want        []string
	}{
		{"  + a = {b: 1, c: 2}", 80, 6, []string{"  + a = {b: 1, c: 2}"}},
		{"  + a = {b: 1, c: 2}", 0, 6, []string{"  + a = {b: 1, c: 2}"}},
		{"  + a = {b: 1, c: 2}", 14, 6, []string{"  + a = {b: 1,", "      c: 2}"}},
		{"  two  blanks are kept", 12, 2, []string{"  two ", "  blanks are", "  kept"}},
		{"abcdefghij kl", 4, 0, []string{"abcd", "efgh", "ij", "kl"}},
		{"a 世界世界", 5, 2, []string{"a", "  世", "  界", "  世", "  界"}},
		{strings.Repeat(" ", 20) + "x y", 8, 20, []string{"    x y"}},
	} {
		got := Fold(c.line, c.width, c.hang)
		for i := range got {
			got[i] = strings.TrimRight(got[i], " ")
		}
		want := make([]string, len(c.want))
		for i := range want {
			want[i] = strings.TrimRight(c.want[i], " ")
		}
		if !slices.Equal(got, want) {
			t.Errorf("Fold(%q, %d, %d) = %q, want %q", c.line, c.width, c.hang, got, want)
		}
	}
}

// TestFoldedCells go on below, beside nothing.
func TestFoldedCells(t *testing.T) {
	table := Table{Columns: []Column{{Title: "STATE"}, {Title: "MESSAGE", Shrink: 1, Fold: true}}}
	table.Row("Failed", Cell{"a message that doesn't fit", Red})
	table.Row("Ready", "")
	got := strings.Join(table.Lines(20, false), "\n")
	const want = "STATE   MESSAGE\nFailed  a message\n        that doesn't\n        fit\nReady"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if lines := table.Lines(0, false); len(lines) != 3 {
		t.Errorf("without a terminal: %q", lines)
	}
}
