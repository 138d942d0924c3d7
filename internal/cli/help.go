// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
)

// commandGroup is a group of commands in the help.
type commandGroup struct {
	cobra.Group
	commands []string
}

// The groups of commands in the help.
var groups = []commandGroup{
	{cobra.Group{ID: "manifests", Title: "Manifests:"}, []string{"apply", "delete", "diff", "generate", "schema", "split", "validate"}},
	{cobra.Group{ID: "machine", Title: "Maps of this machine:"}, []string{"dump", "list", "map", "top"}},
	{cobra.Group{ID: "cluster", Title: "Maps of a cluster:"}, []string{"kubectl"}},
	{cobra.Group{ID: "operator", Title: "Parts of the operator, which its pods run:"}, []string{"agent", "controller", "mark-removed"}},
	{cobra.Group{ID: "other", Title: "Other commands:"}, []string{"completion", "help", "version"}},
}

// maxHelpWidth is what help is filled to on wide terminals: longer lines are hard to read.
const maxHelpWidth = 100

// usageTemplate is cobra's, with flags that are filled to the terminal's width and global ones named at the end.
const usageTemplate = `Usage:{{if .Runnable}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} [command]{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}{{$cmds := .Commands}}{{if eq (len .Groups) 0}}

Available Commands:{{range $cmds}}{{if (or .IsAvailableCommand (eq .Name "help"))}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{else}}{{range $group := .Groups}}

{{.Title}}{{range $cmds}}{{if (and (eq .GroupID $group.ID) (or .IsAvailableCommand (eq .Name "help")))}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}{{if not .AllChildCommandsHaveGroup}}

Additional Commands:{{range $cmds}}{{if (and (eq .GroupID "") (or .IsAvailableCommand (eq .Name "help")))}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{fillFlags . .LocalFlags | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Global Flags:
{{fillFlags . .InheritedFlags | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableSubCommands}}

Use "{{.CommandPath}} [command] --help" for more about a command.{{end}}
`

const helpTemplate = `{{with (or .Long .Short)}}{{fill $ .}}

{{end}}{{if or .Runnable .HasSubCommands}}{{.UsageString}}{{end}}`

// pluginGroups are those of kubectl's plugin.
var pluginGroups = []commandGroup{
	{cobra.Group{ID: "look", Title: "What nodes have, and why:"}, []string{"compare", "dump", "get", "status", "top", "why"}},
	{cobra.Group{ID: "change", Title: "Changes and how they come about:"}, []string{"diff", "import", "revision", "rollout"}},
	{cobra.Group{ID: "other", Title: "Other commands:"}, []string{"completion", "help", "support-bundle", "version"}},
}

// arrange groups the commands of root, and fills help to the width of the terminal.
func arrange(root *cobra.Command, groups []commandGroup) {
	for i := range groups {
		g := &groups[i]
		root.AddGroup(&g.Group)
		for _, name := range g.commands {
			for _, c := range root.Commands() {
				if c.Name() == name {
					c.GroupID = g.ID
				}
			}
		}
	}
	root.SetHelpCommandGroupID("other")
	root.SetCompletionCommandGroupID("other")
	cobra.AddTemplateFunc("fill", func(c *cobra.Command, text string) string { return terminal.Wrap(text, helpWidth(c)) })
	cobra.AddTemplateFunc("fillFlags", func(c *cobra.Command, flags *pflag.FlagSet) string {
		return terminal.WrapFlags(flags.FlagUsages(), helpWidth(c))
	})
	root.SetUsageTemplate(usageTemplate)
	root.SetHelpTemplate(strings.TrimSpace(helpTemplate))
}

// helpWidth is how wide lines of help are.
func helpWidth(c *cobra.Command) int {
	width := terminal.Of(c.OutOrStdout()).Width()
	if width == 0 {
		return terminal.DefaultWidth
	}
	return min(width, maxHelpWidth)
}
