// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
)

// versionInfo is what version prints.
type versionInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	// Date is the commit's time (RFC 3339), not that of the build, which would make every build another.
	Date   string `json:"date"`
	Go     string `json:"goVersion"`
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	Kernel string `json:"kernelRelease"`
}

// NewVersion is the command version.
func NewVersion(version, commit, date string) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version, and those of Go and of the running kernel",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			v := versionInfo{version, commit, date, runtime.Version(), runtime.GOOS, runtime.GOARCH, kernelRelease()}
			if structured.IsDocument(output) {
				return writeDocument(c, output, v)
			}
			screen(c).Printf("bpfmap %s\ncommit:   %s\ndate:     %s\nGo:       %s\nplatform: %s/%s\nkernel:   %s\n", v.Version, v.Commit, v.Date, v.Go, v.OS, v.Arch, v.Kernel)
			return nil
		},
	}
	structured.AddFlag(c, &output, structured.Text, structured.JSON, structured.YAML)
	return c
}

// kernelRelease is that of the running kernel, as uname -r has it; empty where it can't be read.
func kernelRelease() string {
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(text))
}
