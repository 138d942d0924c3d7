// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/interrupt"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/local"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/agent"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/cluster"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/removal"
)

// version, and the commit that it is of, are set by the linker.
var version, commit = "dev", "unknown"

// Run executes one command and returns the process's exit code: 0 for success, 1 for an error, which
// is printed to errOut, what the command says for those that have codes of their own, and 130 or 143 if
// SIGINT or SIGTERM cancelled ctx, unless that is how the command is meant to end.
func Run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	return runRoot(ctx, newRoot(), args, in, out, errOut)
}

// runRoot is Run for the commands below a root.
func runRoot(ctx context.Context, root *cobra.Command, args []string, in io.Reader, out, errOut io.Writer) int {
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if signal, ok := interrupt.Of(ctx); ok {
		if err != nil {
			_, _ = fmt.Fprintln(errOut, interrupt.Message(ctx))
		}
		return interrupt.ExitCode(ctx, signal, err)
	}
	var exit *local.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.Code
	}
	_, _ = fmt.Fprintf(errOut, "Error: %v\n", err)
	return 1
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "bpfmap",
		Short:         "Declare eBPF maps, with or without a Kubernetes cluster",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(
		newController(cluster.Run),
		newAgent(agent.Run),
		newMarkRemoved(removal.Run),
		newVersion(),
		plugin.New(version),
	)
	root.AddCommand(local.Commands()...)
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run:   func(c *cobra.Command, _ []string) { _, _ = fmt.Fprintln(c.OutOrStdout(), version) },
	}
}
