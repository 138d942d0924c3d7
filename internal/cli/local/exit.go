// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
)

// The exit codes. docs/cli.md has the table; a process that a signal ended has 128 and the signal's number.
const (
	// ExitFailed: something failed, of which standard error tells. Of diff, and apply --dry-run: there is something to do.
	ExitFailed = 1
	// ExitUsage: the command line can't be understood, and nothing was done. Of diff: any error.
	ExitUsage = 2
)

// ExitError ends a command whose failures are printed already, with an exit code.
type ExitError struct{ Code int }

// Error is "exit code 2".
func (e *ExitError) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

// UsageError is a command line that can't be understood.
type UsageError struct {
	Err error
	// Command is the one whose help tells more; empty while nobody has said.
	Command string
}

// Error is the message, with the command whose help tells more.
func (e *UsageError) Error() string {
	if e.Command == "" {
		return e.Err.Error()
	}
	return fmt.Sprintf("%v\nSee %q.", e.Err, e.Command+" --help")
}

// Unwrap is the message alone.
func (e *UsageError) Unwrap() error { return e.Err }

// Usagef is a UsageError with a message as of fmt.Errorf.
func Usagef(format string, args ...any) error { return &UsageError{Err: fmt.Errorf(format, args...)} }

// ExitCode is that of a command that returned err.
func ExitCode(err error) int {
	var exit *ExitError
	var usage *UsageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.Code
	case errors.As(err, &usage):
		return ExitUsage
	}
	return ExitFailed
}

// PrintFailure prints why a command failed, unless it has said so itself.
func PrintFailure(errOut *terminal.Output, err error) {
	if exit := (*ExitError)(nil); err == nil || errors.As(err, &exit) {
		return
	}
	way := ""
	if errors.Is(err, bpf.ErrNotPermitted) && os.Geteuid() != 0 && os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		way = " (run as root, as with sudo, or with that capability)"
	}
	_ = errOut.Styled(terminal.Red, "Error:") // nobody is left to tell
	errOut.Printf(" %v%s\n", err, way)
}

// printError writes a failure that doesn't end the command.
func printError(c *cobra.Command, err error) { PrintFailure(terminal.Of(c.ErrOrStderr()), err) }

// AddColourFlag adds --color to all commands, which sets the colours of outputs.
func AddColourFlag(root *cobra.Command, outputs ...*terminal.Output) {
	modes := []string{string(terminal.Auto), string(terminal.Always), string(terminal.Never)}
	value := modes[0]
	root.PersistentFlags().Var(&structured.Choice{Value: &value, Words: modes, Then: func() {
		for _, o := range outputs {
			o.SetColour(terminal.ColourMode(value))
		}
	}}, "color", "colours: on terminals without NO_COLOR in the environment (auto), always or never")
	completeFlag(root, "color", words(modes))
}
