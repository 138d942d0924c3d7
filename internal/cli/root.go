// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/interrupt"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/local"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/agent"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/cluster"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/removal"
)

// version, and the commit that it is of with its time, are set by the linker.
var version, commit, date = "dev", "unknown", "unknown"

// Run executes one command and returns the process's exit code: 0 for success, 1 for an error, which
// is printed to errOut, 2 for a command line that can't be understood, what the command says for those that have codes
// of their own, and 130 or 143 if SIGINT or SIGTERM cancelled ctx, unless that is how the command is meant to end. What
// it writes is sanitised: see package terminal.
func Run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	return runBelow(ctx, newRoot, args, in, out, errOut)
}

// runBelow is Run for the commands below a root.
func runBelow(ctx context.Context, newRoot func(out, errOut *terminal.Output) *cobra.Command, args []string, in io.Reader, out, errOut io.Writer) int {
	stdout, stderr := terminal.Pair(out, errOut)
	root := newRoot(stdout, stderr)
	root.SetIn(in)
	err := executeStrictly(ctx, root, args)
	code := local.ExitCode(err)
	if signal, ok := interrupt.Of(ctx); ok {
		if err != nil {
			_, _ = fmt.Fprintln(stderr, interrupt.Message(ctx))
		}
		code = interrupt.ExitCode(ctx, signal, err)
	} else {
		local.PrintFailure(stderr, err)
	}
	if err := errors.Join(stdout.Flush(), stderr.Flush()); err != nil && code == 0 {
		code = local.ExitFailed
	}
	return code
}

// Root is the tree of commands, for what is generated from it.
func Root() *cobra.Command { return newRoot(terminal.Pair(os.Stdout, os.Stderr)) }

func newRoot(out, errOut *terminal.Output) *cobra.Command {
	root := &cobra.Command{
		Use:           "bpfmap",
		Short:         "Declare eBPF maps, with or without a Kubernetes cluster",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetOut(out)
	root.SetErr(errOut)
	root.AddCommand(
		newController(cluster.Run),
		newAgent(agent.Run),
		newMarkRemoved(removal.Run),
		local.NewVersion(version, commit, date),
		plugin.New(version),
	)
	root.AddCommand(local.Commands()...)
	local.AddColourFlag(root, out, errOut)
	strict(root)
	arrange(root, groups)
	return root
}
