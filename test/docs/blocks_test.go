// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/test/docs"
	"github.com/bpfmap-io/bpfmap-operator/test/program"
)

// bpfmap is the path of the bpfmap binary.
var bpfmap string

func TestMain(m *testing.M) { os.Exit(program.Main(m, &bpfmap)) }

// shell are the languages of blocks that people type.
var shell = []string{"sh", "console"}

// TestBlocks wants each block to be a manifest that validates, or to say what becomes of it.
func TestBlocks(t *testing.T) {
	seen := map[string]int{}
	for _, p := range pages(t) {
		for _, b := range p.Blocks {
			seen[b.Mark.Verb]++
			if problem := judge(t, b); problem != "" {
				t.Errorf("%s: %s", b, problem)
			}
		}
	}
	t.Logf("blocks by mark: %v", seen)
	for _, verb := range []string{"", "run", "file", "run by", "part of", "not run"} {
		if seen[verb] == 0 {
			t.Errorf("no block with the mark %q: do the tests see the pages?", verb)
		}
	}
}

// judge is what is wrong with a block.
func judge(t *testing.T, b docs.Block) string {
	t.Helper()
	if b.Language == "" {
		return "the block names no language; what isn't code is text"
	}
	if slices.Contains(shell, b.Language) {
		if problem := syntax(t, b); problem != "" {
			return problem
		}
	}
	switch verb, argument := b.Mark.Verb, b.Mark.Argument; verb {
	case "run":
		for _, world := range strings.Fields(argument) {
			if !slices.Contains(shell, b.Language) || !slices.Contains([]string{"machine", "rust", "cluster", "pods"}, world) {
				return "what is run is sh or console, on machine, rust, cluster or pods"
			}
		}
	case "file":
		if !strings.Contains(b.Before, "`"+argument+"`") {
			return "the line before it doesn't name the file " + argument
		}
		if b.Language == "yaml" && strings.Contains(b.Text, "kind:") {
			return manifests(t, b)
		}
	case "run by":
		return runs(argument, b.Page)
	case "part of":
		return fragment(t, b)
	case "not run":
		if len(strings.Fields(argument)) < 3 {
			return "the reason is too short to be one: " + argument
		}
	default:
		return unmarked(t, b)
	}
	return ""
}

func unmarked(t *testing.T, b docs.Block) string {
	t.Helper()
	switch b.Language {
	case "yaml":
		return manifests(t, b)
	case "json":
		if !json.Valid([]byte(b.Text)) {
			return "isn't JSON"
		}
		return ""
	case "text":
		if typed.MatchString(b.Text) {
			return "holds commands: it is sh or console, and needs a mark"
		}
		return ""
	}
	return "has no mark: see test/docs/doc.go"
}

// typed finds commands in what is to be text.
var typed = regexp.MustCompile(`(?m)^(\$ |# )?(kubectl|helm|bpfmap|bpftool|make|docker|git|curl) `)

// syntax has a shell read the block, and holds commands of ours to their help.
func syntax(t *testing.T, b docs.Block) string {
	t.Helper()
	text := b.Text
	if b.Language == "console" {
		text = ""
		for _, s := range docs.Steps(b) {
			text += s.Command + "\n"
		}
	}
	check := exec.CommandContext(t.Context(), "bash", "-n")
	check.Stdin = strings.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil {
		return "isn't shell: " + string(out)
	}
	for _, m := range ours.FindAllStringSubmatch(strings.ReplaceAll(text, "\\\n", " "), -1) {
		if problem := known(t, strings.Fields(strings.TrimSpace(m[1]+m[2]))); problem != "" {
			return problem
		}
	}
	return ""
}

// ours are commands of bpfmap up to a pipe, a redirection or their end.
var ours = regexp.MustCompile(`(?m)(?:^|[|;&(] *|exec |sudo |bin/|-- /?)bpfmap((?: [a-z-]+)+)((?: [^|;&<>()\n]*)?)`)

var option = regexp.MustCompile(`^--?[a-z][a-z0-9-]*`)

// known holds a command to its help: what it is called, and its flags.
func known(t *testing.T, words []string) string {
	t.Helper()
	var command []string
	for _, w := range words {
		if !regexp.MustCompile(`^[a-z][a-z-]*$`).MatchString(w) || len(command) == 2 {
			break
		}
		command = append(command, w)
	}
	out, err := exec.CommandContext(t.Context(), bpfmap, append(slices.Clone(command), "--help")...).CombinedOutput()
	help := string(out)
	if err != nil || !strings.Contains(help, "bpfmap "+command[0]) {
		return "bpfmap has no command " + strings.Join(command, " ")
	}
	for _, w := range words {
		if f := option.FindString(w); f != "" && !regexp.MustCompile(`(?m)(^| |,)`+regexp.QuoteMeta(f)+`(\W|$)`).MatchString(help) {
			return "bpfmap " + strings.Join(command, " ") + " has no flag " + f
		}
	}
	return ""
}
