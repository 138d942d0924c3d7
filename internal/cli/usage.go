// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/local"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// exitUsage is the exit code of a command line that can't be understood. It is above 1, which says of diff that there is
// something to do.
const exitUsage = local.ExitUsage

// strict makes every mistake in a command line an error that says where the help is: cobra by itself prints the help of a
// command whose subcommand it doesn't know, and succeeds.
func strict(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	root.SetHelpCommand(newHelp(root))
	root.InitDefaultHelpCmd()
	root.SetFlagErrorFunc(flagError)
	each(root, func(c *cobra.Command) {
		if args := c.Args; args != nil && !c.HasSubCommands() {
			c.Args = func(c *cobra.Command, given []string) error { return argumentError(c, given, args(c, given)) }
		}
	})
}

// executeStrictly runs the command of args. An error from before it began is one of usage.
func executeStrictly(ctx context.Context, root *cobra.Command, args []string) error {
	isCompletion := len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd)
	if !isCompletion {
		if _, err := find(root, args); err != nil {
			return err
		}
	}
	began := false
	each(root, func(c *cobra.Command) {
		if run := c.RunE; run != nil {
			c.RunE = func(c *cobra.Command, args []string) error {
				began = true
				return run(c, args)
			}
		}
	})
	root.SetArgs(args)
	c, err := root.ExecuteContextC(ctx)
	if said := (*local.UsageError)(nil); err != nil && !began || errors.As(err, &said) && said.Command == "" {
		err = usage(c, err)
	}
	return err
}

// each calls do for every command of a tree.
func each(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, sub := range c.Commands() {
		each(sub, do)
	}
}

// newHelp is the command help.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Print the help of a command",
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			c, _, err := root.Find(args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return names(c), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := find(root, args)
			if err != nil {
				return err
			}
			c.InitDefaultHelpFlag()
			c.InitDefaultVersionFlag()
			return c.Help()
		},
	}
}

// find is the command that args begin with; an error if what follows a command with subcommands isn't one of them.
func find(root *cobra.Command, args []string) (*cobra.Command, error) {
	c, rest, err := root.Find(args)
	if c == nil {
		c = root
	}
	if word := firstWord(c, rest); word != "" && c.HasSubCommands() {
		err = fmt.Errorf("unknown command %q for %q%s", word, c.CommandPath(), schema.Suggest(word, names(c)))
	}
	if err != nil {
		return c, usage(c, err)
	}
	return c, nil
}

// firstWord is the first of args that is neither a flag nor the value of one.
func firstWord(c *cobra.Command, args []string) string {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		name := strings.TrimLeft(arg, "-")
		switch f := c.Flag(name); {
		case arg == "--":
			return ""
		case !strings.HasPrefix(arg, "-"):
			return arg
		case f != nil && f.NoOptDefVal == "":
			i++
		}
	}
	return ""
}

// names are those of the subcommands that people may use.
func names(c *cobra.Command) (all []string) {
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			all = append(all, sub.Name())
		}
	}
	return all
}

// usage is err with the place of the help.
func usage(c *cobra.Command, err error) error {
	if said := (*local.UsageError)(nil); errors.As(err, &said) {
		return &local.UsageError{Err: said.Err, Command: cmp.Or(said.Command, c.CommandPath())}
	}
	return &local.UsageError{Err: err, Command: c.CommandPath()}
}

// flagError says of a flag that there isn't which one may be meant.
func flagError(c *cobra.Command, err error) error {
	if unknown := (*pflag.NotExistError)(nil); errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "" {
		var known []string
		c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
		err = fmt.Errorf("%w%s", err, schema.Suggest("--"+unknown.GetSpecifiedName(), known))
	}
	return usage(c, err)
}

// argumentError says of a file that is an argument, where manifests are given by -f, how it is given.
func argumentError(c *cobra.Command, given []string, err error) error {
	for _, arg := range given {
		if c.Flags().Lookup("filename") != nil && (hasManifestName(arg) || err != nil && isFile(arg)) {
			return usage(c, fmt.Errorf("unexpected argument %q (did you mean -f %s?)", arg, arg))
		}
	}
	if err == nil {
		return nil
	}
	if len(given) > 0 && strings.HasPrefix(err.Error(), "unknown command") { // what cobra.NoArgs calls it
		err = fmt.Errorf("unexpected argument %q", given[0])
	}
	return usage(c, err)
}

// hasManifestName says whether an argument is called as manifests are.
func hasManifestName(arg string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(arg))
}

// isFile says whether an argument is a file or folder, or standard input.
func isFile(arg string) bool {
	_, err := os.Stat(arg)
	return err == nil || arg == "-"
}
