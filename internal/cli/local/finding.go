// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
	"github.com/bpfmap-io/bpfmap-operator/internal/manifest"
)

// The severities of findings.
const (
	// severityError: the manifest can't be used.
	severityError = "error"
	// severityWarning: it can be used here, and may be refused or be something else elsewhere.
	severityWarning = "warning"
	severityNote    = "note"
)

// finding is something that is to be said of a manifest.
type finding struct {
	manifest.Problem
	severity string
}

func (l *loaded) found(severity string, problems ...manifest.Problem) {
	for _, p := range problems {
		l.findings = append(l.findings, finding{p, severity})
	}
}

// isValid says that there is no error.
func (l *loaded) isValid() bool {
	return !slices.ContainsFunc(l.findings, func(f finding) bool { return f.severity == severityError })
}

// print prints what is to be said, but for what is valid.
func (l *loaded) print(c *cobra.Command) {
	for _, s := range l.skipped {
		c.PrintErrf("Skipped: %s: %s is not a BPFMap\n", s.Place, s.Object)
	}
	o := terminal.Of(c.ErrOrStderr())
	for _, f := range l.findings {
		switch f.severity {
		case severityError:
			printError(c, f.Problem)
			continue
		case severityWarning:
			_ = o.Styled(terminal.Yellow, "Warning:") // nobody is left to tell
		default:
			o.Printf("Note:")
		}
		f.Place = manifest.Place{} // that a field was left out, or isn't as elsewhere, is no fault of a line
		o.Printf(" %v\n", f.Problem)
	}
}
