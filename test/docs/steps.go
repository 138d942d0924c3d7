// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"fmt"
	"regexp"
	"strings"
)

// Step is a command of a block, and what it is to print.
type Step struct {
	Name    string
	Command string
	// output is what it prints, if the page shows it.
	Output string
	Shown  bool
	// console says that it may fail, if what it prints is shown.
	Console bool
}

// Steps are the commands of a block: one of sh, those after "$ " of console.
func Steps(b Block) (all []Step) {
	if b.Language != "console" {
		return []Step{{Name: b.String(), Command: b.Text}}
	}
	for i, line := range strings.Split(strings.TrimSuffix(b.Text, "\n"), "\n") {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			all = append(all, Step{Name: fmt.Sprintf("%s:%d", b.Page, b.Line+1+i), Command: command, Console: true})
			continue
		}
		if len(all) == 0 {
			all = append(all, Step{Name: b.String(), Console: true})
		}
		last := &all[len(all)-1]
		last.Output, last.Shown = last.Output+line+"\n", true
	}
	return all
}

// Alike compares lines, but for how many blanks are in a row. In what is shown, … stands for anything, and in a line of
// its own for any lines.
func Alike(shown, printed string) bool {
	blanks := regexp.MustCompile(`[ \t]+`)
	expression := ""
	for _, line := range strings.Split(strings.TrimSpace(shown), "\n") {
		if strings.TrimSpace(line) == "…" {
			expression += `(.*\n)*`
			continue
		}
		line = regexp.QuoteMeta(strings.TrimSpace(blanks.ReplaceAllString(line, " ")))
		expression += strings.ReplaceAll(line, "…", ".*") + `\n`
	}
	printed = blanks.ReplaceAllString(printed, " ")
	printed = regexp.MustCompile(` *\n *`).ReplaceAllString(strings.TrimSpace(printed)+"\n", "\n")
	return regexp.MustCompile(`^` + expression + `$`).MatchString(printed)
}
