// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
)

// completion is what a shell offers for a word that has been begun.
type completion func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective)

// completeFlag completes the values of a flag.
func completeFlag(c *cobra.Command, flag string, by completion) {
	_ = c.RegisterFlagCompletionFunc(flag, by) // fails only for a flag that doesn't exist
}

// words completes one of some words.
func words(all []string) completion {
	return cobra.FixedCompletions(all, cobra.ShellCompDirectiveNoFileComp)
}

func completeMapTypes(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return mapTypeNames(), cobra.ShellCompDirectiveNoFileComp
}

func mapTypeNames() []string {
	var names []string
	for _, t := range maptype.All() {
		names = append(names, t.Name)
	}
	return names
}

// completeList completes the last word of a list with commas, with words that aren't in it.
func completeList(all []string) completion {
	return func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		before := begun[:strings.LastIndex(begun, ",")+1]
		var found []string
		for _, word := range all {
			if !slices.Contains(strings.Split(before, ","), word) {
				found = append(found, before+word)
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

func mapFlagNames() []string {
	var names []string
	for _, f := range maptype.AllFlags() {
		names = append(names, f.Name)
	}
	return names
}

// recordsOf are the records of this machine's managed maps below the BPF file system of c's flags; none if they can't be
// read: a shell can't show why.
func recordsOf(c *cobra.Command) []ownership.Record {
	bpffs := defaultBPFFS
	if f := c.Flag("bpffs"); f != nil {
		bpffs = f.Value.String()
	}
	records, _ := pinstore.New(hostRoot().Here(bpffs), pinstore.Options{}).Records()
	return records
}

func completeNamespaces(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	found := map[string]bool{}
	for _, r := range recordsOf(c) {
		found[r.Key.Namespace] = true
	}
	return slices.Sorted(maps.Keys(found)), cobra.ShellCompDirectiveNoFileComp
}

// completeNames completes namespace/name of managed maps that aren't among args yet; at most `most` of them, 0 for any number.
func completeNames(most int) completion {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if most > 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveDefault
		}
		var found []string
		for _, r := range recordsOf(c) {
			if name := r.Key.String(); !slices.Contains(args, name) {
				found = append(found, name+"\t"+r.Pin.Path)
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// completePins completes paths in the BPF file system.
func completePins(c *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	if begun != "" {
		return nil, cobra.ShellCompDirectiveDefault // the shell's own
	}
	bpffs := defaultBPFFS
	if f := c.Flag("bpffs"); f != nil {
		bpffs = f.Value.String()
	}
	return []string{filepath.Clean(bpffs) + "/"}, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}
