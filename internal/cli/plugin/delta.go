// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/local"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/contents"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// delta is what differs between two revisions, for -o json.
type delta struct {
	// Settings are all differences but those of entries, "maxEntries: 16 → 32".
	Settings []string `json:"settings"`
	contents.Changes
	Entries []contents.Change `json:"entries"`
	// Hidden says that the entries come from a Secret and are counted alone.
	Hidden bool `json:"hidden,omitempty"`
}

// isEmpty says whether nothing differs.
func (d *delta) isEmpty() bool { return len(d.Settings) == 0 && d.IsEmpty() }

// deltas compares revisions, and writes what differs for people as it goes, or has it for programs.
type deltas struct {
	format string
	// limit is how many entries of each comparison are shown, 0 for all.
	limit int
	// reveal shows what comes from a Secret.
	reveal bool
}

func (p *deltas) add(c *cobra.Command, what string) {
	structured.AddFlag(c, &p.format, structured.Text, structured.JSON, structured.YAML)
	c.Flags().IntVar(&p.limit, "limit", defaultLimit, "how many entries to show"+what+"; 0 means all, as json and yaml have unless it is given")
}

// check is for the beginning of a command.
func (p *deltas) check(c *cobra.Command) error {
	if p.limit < 0 {
		return local.Usagef("--limit must not be negative")
	}
	if p.isDocument() && !c.Flags().Changed("limit") {
		p.limit = 0
	}
	return nil
}

func (p *deltas) isDocument() bool { return structured.IsDocument(p.format) }

// say writes a line that documents don't have.
func (p *deltas) say(out *terminal.Output, format string, args ...any) {
	if !p.isDocument() {
		out.Printf(format, args...)
	}
}

// compare compares the entries of two revisions, and their settings by their objects, where both are given.
func (p *deltas) compare(out *terminal.Output, from, to *revision.Revision, before, after *v1alpha1.BPFMapRevision) (d delta, err error) {
	d.Settings = []string{}
	if before != nil && after != nil {
		for _, line := range changes(before, after) {
			if !strings.HasPrefix(line, "entries: ") {
				d.Settings = append(d.Settings, line)
				p.say(out, "  ! %s\n", terminal.Sanitize(line))
			}
		}
	}
	isSecret := from != nil && from.Sensitive || to != nil && to.Sensitive
	if p.isDocument() {
		d.Entries, d.Changes, err = contents.Compare(from, to, p.limit, p.reveal)
		d.Hidden = isSecret && !p.reveal
		return d, err
	}
	d.Changes, err = contents.Diff(&coloured{out: out}, from, to, p.limit, p.reveal)
	if err == nil && !d.IsEmpty() && !p.reveal && isSecret {
		out.Printf("  the entries come from a Secret and are not shown\n")
	}
	return d, err
}

// coloured writes each line in the colour of its sign.
type coloured struct{ out *terminal.Output }

// Write is given whole lines.
func (w *coloured) Write(line []byte) (int, error) {
	style := terminal.Plain
	switch body := bytes.TrimLeft(line, " "); {
	case bytes.HasPrefix(body, []byte("+")):
		style = terminal.Green
	case bytes.HasPrefix(body, []byte("-")):
		style = terminal.Red
	case bytes.HasPrefix(body, []byte("~")):
		style = terminal.Yellow
	}
	if !w.out.HasColour() || style == terminal.Plain {
		return w.out.Write(line)
	}
	if err := w.out.Styled(style, string(bytes.TrimSuffix(line, []byte("\n")))); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(w.out, "\n"); err != nil {
		return 0, err
	}
	return len(line), nil
}

// The exit codes of diff commands are those of kubectl diff.
const (
	diffFound  = local.ExitFailed
	diffFailed = local.ExitUsage
)

// diffExit is the exit of a diff command; an error is printed.
func diffExit(c *cobra.Command, differs bool, err error) error {
	switch {
	case err != nil && c.Context().Err() != nil:
		return err
	case err != nil:
		local.PrintFailure(terminal.Of(c.ErrOrStderr()), err)
		return &local.ExitError{Code: diffFailed}
	case differs:
		return &local.ExitError{Code: diffFound}
	}
	return nil
}
