// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/kube"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/live"
)

// The names under which kubectl runs the program: as its plugin, and to complete the plugin's arguments.
const (
	pluginName   = "kubectl-bpfmap"
	completeName = "kubectl_complete-bpfmap"
)

// Args are the arguments of the plugin if the program was called by one of its names, a path or with .exe behind it.
func Args(name string, args []string) (plugin []string, ok bool) {
	if at := strings.LastIndexAny(name, "/\\"); at >= 0 {
		name = name[at+1:]
	}
	switch strings.TrimSuffix(name, ".exe") {
	case pluginName:
		return args, true
	case completeName:
		return append([]string{cobra.ShellCompRequestCmd}, args...), true
	}
	return nil, false
}

// New is the root of the plugin's commands for a version of this program. As a command among others it is
// "bpfmap kubectl".
func New(version string) *cobra.Command {
	f := kube.New(version)
	root := &cobra.Command{
		Use:              "kubectl",
		Short:            "Look at and change the BPFMaps of a cluster",
		Version:          version,
		SilenceUsage:     true,
		SilenceErrors:    true,
		Annotations:      map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl bpfmap"},
		PersistentPreRun: func(c *cobra.Command, _ []string) { f.Warnings = c.ErrOrStderr() },
	}
	f.AddFlags(root.PersistentFlags())
	_ = root.RegisterFlagCompletionFunc("namespace", f.CompleteNamespaces)
	root.AddCommand(commands(f)...)
	root.AddCommand(newSupportBundle(f, version), newVersion(version))
	return root
}

// commands are all of them.
func commands(f *kube.Factory) []*cobra.Command {
	return append([]*cobra.Command{
		newStatus(f),
		newWhy(f),
		newRollout(f),
		newRevision(f),
		newDiff(f),
	}, live.Commands(f, nil)...)
}
