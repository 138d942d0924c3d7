// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// withoutFormats are the commands that have no -o json and yaml, and why.
var withoutFormats = map[string]string{
	"bpfmap agent":                  "a part of the operator, which logs",
	"bpfmap controller":             "a part of the operator, which logs",
	"bpfmap mark-removed":           "a part of the operator, which logs",
	"bpfmap help":                   "text for people",
	"bpfmap completion bash":        "a script",
	"bpfmap completion fish":        "a script",
	"bpfmap completion powershell":  "a script",
	"bpfmap completion zsh":         "a script",
	"bpfmap map delete":             "prints nothing",
	"bpfmap map freeze":             "prints nothing",
	"bpfmap map pin":                "prints nothing",
	"bpfmap map unpin":              "prints nothing",
	"bpfmap map update":             "prints nothing",
	"bpfmap kubectl rollout pause":  "says what kubectl rollout pause says; kubectl get has the object",
	"bpfmap kubectl rollout resume": "says what kubectl rollout resume says; kubectl get has the object",
	"bpfmap kubectl rollout undo":   "says what kubectl rollout undo says; kubectl get has the object",
	"bpfmap kubectl rollout status": "waits, and its exit code is what it says; status has the rest",
	"bpfmap kubectl support-bundle": "writes an archive, whose file -o names",
}

// TestEveryCommandHasFormats: what a command prints can be had as JSON and YAML, by the same words and the same flag.
func TestEveryCommandHasFormats(t *testing.T) {
	missing := map[string]bool{}
	for path := range withoutFormats {
		missing[path] = true
	}
	everyCommand(t, func(t *testing.T, c *cobra.Command, _ []string) {
		if c.HasSubCommands() {
			return
		}
		path := c.CommandPath()
		delete(missing, path)
		f := c.Flags().Lookup("output")
		has := f != nil && f.Shorthand == "o"
		if has {
			words := strings.Split(f.Value.Type(), "|")
			has = slices.Contains(words, "json") && slices.Contains(words, "yaml")
		}
		_, excepted := withoutFormats[path]
		switch {
		case has && excepted:
			t.Error("it has -o json and yaml, and is among those that haven't")
		case !has && !excepted:
			t.Error("it has no -o with json and yaml: add it (structured.AddFlag), or a reason to withoutFormats")
		}
	})
	for path := range missing {
		t.Errorf("there is no command %q", path)
	}
}
