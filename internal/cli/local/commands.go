// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
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
		onKernel(newTop()),
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

// hostRoot is where this process finds the node's file system: in the agent's pod, not at "/".
func hostRoot() mounts.Root { return mounts.Root(os.Getenv(mounts.RootEnv)) }

func addBPFFSFlag(c *cobra.Command, bpffs *string) {
	c.Flags().StringVar(bpffs, "bpffs", defaultBPFFS, "mount point of the BPF file system")
	_ = c.MarkFlagDirname("bpffs") // fails only for a flag that doesn't exist
}
