// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
)

// Write writes the answer for people.
func (a *Answer) Write(out *terminal.Output) error {
	out.Paragraph(terminal.Bold, "%s", terminal.Sanitize(a.Verdict))
	for i, c := range a.Causes {
		out.Paragraph(terminal.Plain, "%2d. %s", i+1, terminal.Sanitize(c.Because))
		for _, seen := range c.Seen {
			out.Paragraph(terminal.Faint, "      %s", terminal.Sanitize(seen))
		}
	}
	for i, do := range a.Do {
		if i == 0 {
			out.Printf("What to do:\n")
		}
		out.Paragraph(terminal.Plain, "  → %s", terminal.Sanitize(plain(do)))
	}
	for i, missing := range a.Missing {
		if i == 0 {
			out.Printf("Not looked at:\n")
		}
		out.Paragraph(terminal.Plain, "  %s", terminal.Sanitize(missing))
	}
	return out.Flush()
}
