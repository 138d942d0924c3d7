// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"

	"golang.org/x/term"
)

// DefaultWidth is how many columns text is laid out for where there is no terminal.
const DefaultWidth = 80

// Output is standard output or standard error. What is written to it is sanitised, see Sanitize; styles and progress are
// for terminals alone. It is safe for concurrent use.
type Output struct {
	raw io.Writer
	// file is the terminal, nil if there is none.
	file   *os.File
	width  int // of a terminal that is not a file, in tests
	colour bool

	screen  *screen
	pending []byte // the beginning of a character whose end wasn't written yet
	scratch []byte
}

// screen is what the outputs on one terminal share.
type screen struct {
	mu  sync.Mutex
	bar *Progress
	// midLine says that the cursor is behind text, where no bar can be shown.
	midLine bool
}

// Pair are standard output and standard error. If both are terminals they are taken for the same one.
func Pair(out, errOut io.Writer) (o, e *Output) {
	shared := &screen{}
	return newOutput(out, shared), newOutput(errOut, shared)
}

func newOutput(w io.Writer, s *screen) *Output {
	if o, is := w.(*Output); is {
		return o
	}
	o := &Output{raw: w, screen: s}
	if f, is := w.(*os.File); is && term.IsTerminal(int(f.Fd())) {
		o.file = f
	}
	o.SetColour(Auto)
	return o
}

// Of is w if that is an Output, and a new one for w otherwise.
func Of(w io.Writer) *Output { return newOutput(w, &screen{}) }

// Simulated is an Output as on a terminal of some columns, for tests.
func Simulated(w io.Writer, width int, colour bool) *Output {
	return &Output{raw: w, screen: &screen{}, width: width, colour: colour}
}

// IsTerminal says whether people see the output as it is written.
func (o *Output) IsTerminal() bool { return o.file != nil || o.width > 0 }

// Width is how many columns the terminal has. Where there is no terminal it is 0: nothing has to be cut.
func (o *Output) Width() int {
	if o.file == nil {
		return o.width
	}
	if width, _, err := term.GetSize(int(o.file.Fd())); err == nil && width > 0 {
		return width
	}
	if width, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && width > 0 {
		return width
	}
	return DefaultWidth
}

// Height is how many lines the terminal has; 0 where there is none, and where it doesn't tell.
func (o *Output) Height() int {
	if o.file == nil {
		return 0
	}
	_, height, err := term.GetSize(int(o.file.Fd()))
	if err != nil {
		return 0
	}
	return height
}

// ColourMode is the value of --color.
type ColourMode string

// The modes.
const (
	// Auto: on terminals that are not dumb, unless NO_COLOR is set (https://no-color.org).
	Auto   ColourMode = "auto"
	Always ColourMode = "always"
	Never  ColourMode = "never"
)

// SetColour says whether styles are shown.
func (o *Output) SetColour(mode ColourMode) {
	switch mode {
	case Always:
		o.colour = true
	case Never:
		o.colour = false
	default:
		o.colour = o.IsTerminal() && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
}

// HasColour says whether styles are shown.
func (o *Output) HasColour() bool { return o.colour }

// Write writes text, sanitised. A character may be split between two calls.
func (o *Output) Write(p []byte) (int, error) {
	o.screen.mu.Lock()
	defer o.screen.mu.Unlock()
	if err := o.write(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteString is Write without a copy of s for what needs no change.
func (o *Output) WriteString(s string) (int, error) { return o.Write([]byte(s)) }

// write is Write under the lock.
func (o *Output) write(p []byte) error {
	if len(o.pending) > 0 {
		p = append(o.pending, p...)
		o.pending = nil
	}
	whole := completeRunes(p)
	if whole < len(p) {
		o.pending = append([]byte(nil), p[whole:]...)
		p = p[:whole]
	}
	if clean := cleanLen(p); clean < len(p) {
		o.scratch = appendSanitized(append(o.scratch[:0], p[:clean]...), p[clean:], true)
		p = o.scratch
	}
	return o.emit(p)
}

// emit writes bytes as they are, with the bar out of their way.
func (o *Output) emit(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if o.IsTerminal() {
		o.screen.bar.hide()
		o.screen.midLine = p[len(p)-1] != '\n'
	}
	_, err := o.raw.Write(p)
	return err
}

// Flush writes what is left of a character that was never completed.
func (o *Output) Flush() error {
	o.screen.mu.Lock()
	defer o.screen.mu.Unlock()
	return o.flush()
}

func (o *Output) flush() error {
	rest := o.pending
	o.pending = nil
	return o.emit(appendSanitized(nil, rest, true))
}

// Styled writes text in a style.
func (o *Output) Styled(s Style, text string) error {
	o.screen.mu.Lock()
	defer o.screen.mu.Unlock()
	if err := o.flush(); err != nil {
		return err
	}
	return o.emit(s.append(nil, string(appendSanitized(nil, []byte(text), true)), o.colour))
}

// Lines writes text, each of its lines in the style that styleOf gives it. Lines that are wider than the terminal are folded.
func (o *Output) Lines(text string, styleOf func(line string) Style) error {
	o.screen.mu.Lock()
	defer o.screen.mu.Unlock()
	if err := o.flush(); err != nil {
		return err
	}
	return o.emit(styleLines(nil, text, styleOf, o.Width(), o.colour))
}

// Paragraph writes lines of one style, folded to the terminal's width. Its error is left to the next write of the command.
func (o *Output) Paragraph(s Style, format string, args ...any) {
	_ = o.Lines(fmt.Sprintf(format, args...)+"\n", func(string) Style { return s })
}

// Control writes bytes of the program's own as they are: what moves the cursor and draws. Never data.
func (o *Output) Control(sequence []byte) error {
	o.screen.mu.Lock()
	defer o.screen.mu.Unlock()
	return o.emit(sequence)
}

// Printf writes formatted text. Its error is left to the next write of the command, as a broken pipe is.
func (o *Output) Printf(format string, args ...any) { _, _ = fmt.Fprintf(o, format, args...) }
