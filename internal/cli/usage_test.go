// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rivo/uniseg"
	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// outcome is what a command line did.
type outcome struct {
	code        int
	out, errOut string
}

func runArgs(t *testing.T, args ...string) outcome {
	t.Helper()
	var out, errOut bytes.Buffer
	code := Run(t.Context(), args, strings.NewReader(""), &out, &errOut)
	return outcome{code, out.String(), errOut.String()}
}

// everyCommand calls do for each command of the tree, with the words that call it.
func everyCommand(t *testing.T, do func(t *testing.T, c *cobra.Command, words []string)) {
	t.Helper()
	n := 0
	each(Root(), func(c *cobra.Command) {
		n++
		words := strings.Fields(c.CommandPath())[1:]
		t.Run(c.CommandPath(), func(t *testing.T) { do(t, c, words) })
	})
	if n < 30 {
		t.Errorf("there are only %d commands", n)
	}
}

// refused wants a mistake in a command line to be an error of usage that names the help, and to do and print nothing.
func refused(t *testing.T, o outcome, command, said string) {
	t.Helper()
	if see := "See \"" + command + " --help\".\n"; o.code != exitUsage || o.out != "" || !strings.HasPrefix(o.errOut, "Error: ") ||
		!strings.HasSuffix(o.errOut, see) || !strings.Contains(o.errOut, said) {
		t.Errorf("exit code %d, output %q, standard error %q; want exit code %d, %q and %q", o.code, o.out, o.errOut, exitUsage, said, see)
	}
}

// TestEveryCommandRefusesUnknownFlags: --no-such-flag never is a success, and never exit code 1, which says something else
// of diff.
func TestEveryCommandRefusesUnknownFlags(t *testing.T) {
	everyCommand(t, func(t *testing.T, c *cobra.Command, words []string) {
		refused(t, runArgs(t, append(words, "--no-such-flag")...), c.CommandPath(), "unknown flag: --no-such-flag")
		refused(t, runArgs(t, append(words, "--colr=never")...), c.CommandPath(), "unknown flag: --colr (did you mean --color?)")
	})
}

// TestEveryParentRefusesUnknownCommands: with flags or without, a misspelt subcommand is an error that says what was meant.
func TestEveryParentRefusesUnknownCommands(t *testing.T) {
	parents := 0
	everyCommand(t, func(t *testing.T, c *cobra.Command, words []string) {
		if !c.HasSubCommands() {
			return
		}
		parents++
		sub := c.Commands()[0].Name()
		for _, sub := range c.Commands() {
			if misspelt := sub.Name() + "x"; len(sub.Name()) > 3 {
				refused(t, runArgs(t, append(words, misspelt)...), c.CommandPath(), "unknown command \""+misspelt+"\" for \""+c.CommandPath()+"\"")
			}
		}
		misspelt := sub[:len(sub)-1] + "xx"
		refused(t, runArgs(t, append(words, misspelt, "-f", "x", "--key", "1")...), c.CommandPath(), "unknown command")
		refused(t, runArgs(t, append(append([]string{"help"}, words...), "nope")...), c.CommandPath(), "unknown command \"nope\"")
	})
	if parents != 6 {
		t.Errorf("%d commands have subcommands", parents)
	}
}

// TestEveryCommandRefusesArguments: what a command doesn't take isn't passed over.
func TestEveryCommandRefusesArguments(t *testing.T) {
	everyCommand(t, func(t *testing.T, c *cobra.Command, words []string) {
		if c.HasSubCommands() || c.Name() == "help" {
			return
		}
		o := runArgs(t, append(words, "a b", "c d", "e f")...)
		refused(t, o, c.CommandPath(), "")
	})
}

// TestEveryCommandHasHelp: it fits 80 columns where nothing says how wide the terminal is, and help and --help agree.
func TestEveryCommandHasHelp(t *testing.T) {
	everyCommand(t, func(t *testing.T, c *cobra.Command, words []string) {
		o := runArgs(t, append(words, "--help")...)
		if o.code != 0 || o.errOut != "" || !strings.Contains(o.out, "Usage:\n") {
			t.Errorf("exit code %d, standard error %q, output\n%s", o.code, o.errOut, o.out)
		}
		if other := runArgs(t, append([]string{"help"}, words...)...); other.out != o.out {
			t.Errorf("help says\n%s\nand --help\n%s", other.out, o.out)
		}
		if c.Parent() != nil && c.Parent().Name() == "completion" {
			return // cobra's
		}
		isVerbatim := false // examples and how a command is called stay in one line
		for line := range strings.Lines(o.out) {
			if strings.HasSuffix(line, ":\n") && !strings.HasPrefix(line, " ") {
				isVerbatim = line == "Usage:\n" || line == "Examples:\n"
			}
			if w := uniseg.StringWidth(strings.TrimRight(line, "\n")); w > 80 && !isVerbatim {
				t.Errorf("a line of %d columns: %s", w, line)
			}
		}
	})
}

func TestUsageErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "maps")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args          []string
		command, said string
	}{
		{[]string{"valdate"}, "bpfmap", `unknown command "valdate" for "bpfmap" (did you mean validate?)`},
		{[]string{"aply", "-f", "x"}, "bpfmap", `unknown command "aply" for "bpfmap" (did you mean apply?)`},
		{[]string{"map", "lokup"}, "bpfmap map", `(did you mean lookup?)`},
		{[]string{"map", "--color", "never", "lokup"}, "bpfmap map", `(did you mean lookup?)`},
		{[]string{"completion", "bsh"}, "bpfmap completion", `(did you mean bash?)`},
		{[]string{"help", "map", "lokup"}, "bpfmap map", `(did you mean lookup?)`},
		{[]string{"apply", "x.yaml"}, "bpfmap apply", `unexpected argument "x.yaml" (did you mean -f x.yaml?)`},
		{[]string{"apply", file}, "bpfmap apply", `(did you mean -f ` + file + `?)`},
		{[]string{"validate", dir}, "bpfmap validate", `(did you mean -f ` + dir + `?)`},
		{[]string{"diff", "x.yaml"}, "bpfmap diff", `(did you mean -f x.yaml?)`},
		{[]string{"dump", "x.yml"}, "bpfmap dump", `(did you mean -f x.yml?)`},
		{[]string{"diff"}, "bpfmap diff", "nothing to read: -f FILE is needed"},
		{[]string{"diff", "--max-lines", "many"}, "bpfmap diff", `invalid argument "many"`},
		{[]string{"list", "-o", "jsno"}, "bpfmap list", `must be one of table, wide, json, yaml (did you mean json?)`},
		{[]string{"list", "--type", "Hsh"}, "bpfmap list", `(did you mean Hash?)`},
		{[]string{"list", "--name", "["}, "bpfmap list", "is not a valid pattern"},
		{[]string{"map", "create"}, "bpfmap map create", `required flag(s) "pin", "type" not set`},
		{[]string{"dump", "--pin", "a", "--id", "1"}, "bpfmap dump", "[pin id]"},
		{[]string{"map", "info", "edge/a/b"}, "bpfmap map info", `"edge/a/b" is not NAMESPACE/NAME of a BPFMap`},
		{[]string{"dump", "edge/a", "-n", "shop"}, "bpfmap dump", "is not in namespace shop"},
		{[]string{"validate", "-f", "x", "--cpus", "-1"}, "bpfmap validate", "--cpus -1: must be between 1 and 8192"},
		{[]string{"apply", "-f", "x", "--prune"}, "bpfmap apply", "--namespace, or --prune-namespace"},
		{[]string{"apply", "-f", "-", "--prune", "-n", "edge"}, "bpfmap apply", "may have ended early"},
		{[]string{"apply", "-f", "x", "--watch", "--dry-run"}, "bpfmap apply", "exclude each other"},
		{[]string{"top", "--interval", "1ms"}, "bpfmap top", "must be at least 100ms"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) { refused(t, runArgs(t, c.args...), c.command, c.said) })
	}
}

// TestVersion prints what is known of the binary and of the machine.
func TestVersion(t *testing.T) {
	var fromJSON, fromYAML map[string]string
	if err := json.Unmarshal([]byte(runArgs(t, "version", "-o", "json").out), &fromJSON); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(runArgs(t, "version", "-o", "yaml").out), &fromYAML); err != nil {
		t.Fatal(err)
	}
	text := runArgs(t, "version").out
	for _, field := range []string{"version", "commit", "date", "goVersion", "os", "arch", "kernelRelease"} {
		if fromJSON[field] == "" || fromYAML[field] != fromJSON[field] || !strings.Contains(text, fromJSON[field]) {
			t.Errorf("%s: JSON %q, YAML %q, text\n%s", field, fromJSON[field], fromYAML[field], text)
		}
	}
}

// TestCompletion offers words for commands, flags and their values.
func TestCompletion(t *testing.T) {
	for line, want := range map[string]string{
		"map lo":                     "lookup",
		"list -o ":                   "yaml",
		"list --type ":               "LPMTrie",
		"map create --type ":         "RingBuf",
		"map create --flags Mmap,":   "Mmap,NoPrealloc",
		"map update --flags ":        "NoExist",
		"validate --missing-sources": "--missing-sources",
		"top --sort ":                "change",
		"--color ":                   "never",
		"map info --pin ":            "/sys/fs/bpf/",
	} {
		words := strings.Split(line, " ")
		o := runArgs(t, append([]string{cobra.ShellCompRequestCmd}, words...)...)
		var found []string
		for l := range strings.Lines(o.out) {
			word, _, _ := strings.Cut(strings.TrimRight(l, "\n"), "\t")
			found = append(found, word)
		}
		if o.code != 0 || !slices.Contains(found, want) {
			t.Errorf("%q: exit code %d, want %s among %v", line, o.code, want, found)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if o := runArgs(t, "completion", shell); o.code != 0 || !strings.Contains(o.out, "bpfmap") {
			t.Errorf("completion %s: exit code %d, %d bytes", shell, o.code, len(o.out))
		}
	}
}

// TestGroups: each command that people see is in a group, and those that pods run are in one of their own.
func TestGroups(t *testing.T) {
	help := runArgs(t).out
	if strings.Contains(help, "Additional Commands") {
		t.Errorf("commands are in no group:\n%s", help)
	}
	_, operator, _ := strings.Cut(help, "Parts of the operator, which its pods run:\n")
	operator, _, _ = strings.Cut(operator, "\n\n")
	if strings.Count(operator, "\n") != 2 {
		t.Errorf("want agent, controller and mark-removed:\n%s", operator)
	}
}

// TestCancelled: a command whose context has ended is no success.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errOut bytes.Buffer
	if code := Run(ctx, []string{"list"}, strings.NewReader(""), &out, &errOut); code == 0 {
		t.Errorf("a cancelled list succeeds: %q", out.String())
	}
}
