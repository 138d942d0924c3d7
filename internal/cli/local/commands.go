// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/mounts"
)

// defaultBPFFS is where systemd mounts the BPF file system.
const defaultBPFFS = "/sys/fs/bpf"

// Commands are all commands of this package.
func Commands() []*cobra.Command {
	return []*cobra.Command{
		onKernel(newApply()),
		onKernel(newDelete()),
		onKernel(newDiff()),
		newValidate(),
		newSplit(),
		newSchema(),
		onKernel(newList()),
		onKernel(newDump()),
		onKernel(newGenerate()),
		onKernel(newMap()),
	}
}

// onKernel raises RLIMIT_MEMLOCK before a command that makes maps or loads programs. Where it may not, what
// then doesn't fit names the limit: most does, and kernels since Linux 5.11 have no such limit.
func onKernel(c *cobra.Command) *cobra.Command {
	c.PersistentPreRun = func(*cobra.Command, []string) { _ = bpf.AllowMemlock() }
	return c
}

// ExitError ends a command whose failures are printed already, with an exit code.
type ExitError struct{ Code int }

// Error is "exit code 2".
func (e *ExitError) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

// printError writes a failure that doesn't end the command.
func printError(c *cobra.Command, err error) {
	c.PrintErrf("Error: %v\n", err)
}

// hostRoot is where this process finds the node's file system: in the agent's pod, not at "/".
func hostRoot() mounts.Root { return mounts.Root(os.Getenv(mounts.RootEnv)) }

func addBPFFSFlag(c *cobra.Command, bpffs *string) {
	c.Flags().StringVar(bpffs, "bpffs", defaultBPFFS, "mount point of the BPF file system")
	_ = c.MarkFlagDirname("bpffs") // fails only for a flag that doesn't exist
}

// addOutputFlag adds -o, whose value must be one of formats; the first is the default.
func addOutputFlag(c *cobra.Command, into *string, formats ...string) {
	f := &choice{value: into, formats: formats}
	*into = formats[0]
	c.Flags().VarP(f, "output", "o", "output format: "+f.Type())
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
}
