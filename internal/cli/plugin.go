// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"io"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin"
)

// RunAs is Run under the name by which the process was called: as kubectl-bpfmap it is kubectl's plugin.
func RunAs(ctx context.Context, name string, args []string, in io.Reader, out, errOut io.Writer) int {
	if args, ok := plugin.Args(name, args); ok {
		return runRoot(ctx, plugin.New(version), args, in, out, errOut)
	}
	return Run(ctx, args, in, out, errOut)
}
