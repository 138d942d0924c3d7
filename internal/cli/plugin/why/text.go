// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
)

// Write writes the answer for people.
func (a *Answer) Write(out *terminal.Output) error {
	_ = out.Styled(terminal.Bold, terminal.Sanitize(a.Verdict))
	out.Printf("\n")
	for i, c := range a.Causes {
		out.Printf("%s\n", fmt.Sprintf("%2d. %s", i+1, terminal.Sanitize(c.Because)))
		for _, seen := range c.Seen {
			_ = out.Styled(terminal.Faint, "      "+terminal.Sanitize(seen))
			out.Printf("\n")
		}
	}
	for i, do := range a.Do {
		if i == 0 {
			out.Printf("What to do:\n")
		}
		out.Printf("  → %s\n", terminal.Sanitize(plain(do)))
	}
	for i, missing := range a.Missing {
		if i == 0 {
			out.Printf("Not looked at:\n")
		}
		out.Printf("  %s\n", terminal.Sanitize(missing))
	}
	return out.Flush()
}
