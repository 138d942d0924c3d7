// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/local"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
)

// RunAs is Run under the name by which the process was called: as kubectl-bpfmap it is kubectl's plugin.
func RunAs(ctx context.Context, name string, args []string, in io.Reader, out, errOut io.Writer) int {
	if args, ok := plugin.Args(name, args); ok {
		return runBelow(ctx, newPlugin, args, in, out, errOut)
	}
	return Run(ctx, args, in, out, errOut)
}

// newPlugin is the root of the commands of kubectl's plugin.
func newPlugin(out, errOut *terminal.Output) *cobra.Command {
	root := plugin.New(version)
	root.SetOut(out)
	root.SetErr(errOut)
	local.AddColourFlag(root, out, errOut)
	strict(root)
	arrange(root, pluginGroups)
	return root
}
