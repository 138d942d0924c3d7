// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command clidoc writes the reference of the command line from the commands themselves: one page of Markdown, and a manual
// page for each command.
//
// Usage: clidoc PAGE.md MANDIRECTORY
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
	"github.com/bpfmap-io/bpfmap-operator/internal/mounts"
)

const header = `<!-- Written by "make generate" from the commands. Do not edit. -->

# Command line reference

What formats, names and exit codes the commands have in common is in [the command line](../cli.md).
`

// width is that of help in the page.
const width = 100

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: clidoc PAGE.md MANDIRECTORY")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "clidoc:", err)
		os.Exit(1)
	}
}

func run(page, man string) error {
	// Defaults that come from the environment are not part of the reference.
	for _, name := range []string{mounts.RootEnv, mounts.CgroupEnv, "NODE_NAME"} {
		if err := os.Unsetenv(name); err != nil {
			return err
		}
	}
	root := cli.Root()
	root.DisableAutoGenTag = true
	var b bytes.Buffer
	b.WriteString(header)
	var pages []string
	err := each(root, func(c *cobra.Command) error {
		section(&b, c)
		name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
		pages = append(pages, name)
		return manual(c, filepath.Join(man, name))
	})
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(page, b.Bytes(), 0o644), removeOthers(man, pages))
}

// each calls do for every command that people may use.
func each(c *cobra.Command, do func(*cobra.Command) error) error {
	c.InitDefaultHelpFlag()
	c.InitDefaultVersionFlag()
	if err := do(c); err != nil {
		return err
	}
	for _, sub := range c.Commands() {
		if !sub.IsAvailableCommand() || sub.IsAdditionalHelpTopicCommand() {
			continue
		}
		if err := each(sub, do); err != nil {
			return err
		}
	}
	return nil
}

// section is one command in the page.
func section(b *bytes.Buffer, c *cobra.Command) {
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	fmt.Fprintf(b, "\n## %s\n\n```text\n%s\n\n%s```\n", c.CommandPath(), terminal.Wrap(text, width), strings.TrimLeft(usage(c), "\n"))
}

// usage is how a command is called: its line, examples, subcommands and flags.
func usage(c *cobra.Command) string {
	var b strings.Builder
	if c.Runnable() {
		fmt.Fprintf(&b, "Usage:\n  %s\n", c.UseLine())
	}
	if c.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", c.Example)
	}
	if c.HasAvailableSubCommands() {
		b.WriteString("\nCommands:\n")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(&b, "  %-15s %s\n", sub.Name(), sub.Short)
			}
		}
	}
	if flags := terminal.WrapFlags(c.NonInheritedFlags().FlagUsages(), width); flags != "" {
		fmt.Fprintf(&b, "\nFlags:\n%s", flags)
	}
	return b.String()
}

// manual writes a command's manual page. It has no date, which would change with each build.
func manual(c *cobra.Command, path string) error {
	var b bytes.Buffer
	none := time.Time{}
	if err := doc.GenMan(c, &doc.GenManHeader{Section: "1", Source: "bpfmap", Manual: "bpfmap manual", Date: &none}, &b); err != nil {
		return fmt.Errorf("write manual page of %s: %w", c.CommandPath(), err)
	}
	text := bytes.Replace(b.Bytes(), []byte(` "`+none.Format("Jan 2006")+`"`), []byte(` ""`), 1)
	return os.WriteFile(path, text, 0o644)
}

// removeOthers removes the pages of commands that there aren't any more.
func removeOthers(dir string, pages []string) error {
	found, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, name := range pages {
		known[filepath.Join(dir, name)] = true
	}
	for _, path := range found {
		if !known[path] {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}
