// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// heading is a version's in CHANGELOG.md, as Keep a Changelog has it: ## [0.1.0] - 2026-12-01.
var heading = regexp.MustCompile(`^## \[([^]]+)\](?: - (\S+))?\s*$`)

// linkTarget is a line that only says where a link of the page leads.
var linkTarget = regexp.MustCompile(`^\[[^]]+\]: \S+$`)

// Section is the text below a version's heading in a changelog. A version without a section, without a date or without a
// word is refused: a release says what is new in it.
func Section(changelog, number string) (string, error) {
	return section(changelog, number, func(date string) bool {
		_, err := time.Parse(time.DateOnly, date)
		return err == nil
	})
}

// Unreleased is the text below the heading of what isn't released yet.
func Unreleased(changelog string) (string, error) {
	return section(changelog, "Unreleased", func(date string) bool { return date == "" })
}

func section(changelog, number string, dated func(date string) bool) (string, error) {
	var text []string
	found := false
	for line := range strings.Lines(changelog) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "## ") {
			if found {
				break
			}
			m := heading.FindStringSubmatch(line)
			if found = m != nil && m[1] == number; found {
				if !dated(m[2]) {
					return "", fmt.Errorf("CHANGELOG.md: the heading of %s is %q: must be \"## [%s] - YYYY-MM-DD\"", number, line, number)
				}
			}
			continue
		}
		if found && !linkTarget.MatchString(line) {
			text = append(text, line)
		}
	}
	if !found {
		return "", fmt.Errorf("CHANGELOG.md: there is no section \"## [%s] - YYYY-MM-DD\"", number)
	}
	notes := strings.TrimSpace(strings.Join(text, "\n"))
	if notes == "" {
		return "", fmt.Errorf("CHANGELOG.md: the section of %s is empty", number)
	}
	return notes + "\n", nil
}

// Change is one entry of a section.
type Change struct {
	// Kind is the title above it, in small letters: added, changed, deprecated, removed, fixed or security.
	Kind, Text string
}

// Changes are the entries of a section: the items of the lists below its titles.
func Changes(section string) (all []Change) {
	kind := ""
	for line := range strings.Lines(section) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "### "):
			kind = strings.ToLower(strings.TrimSpace(line[4:]))
		case strings.HasPrefix(line, "- ") && kind != "":
			all = append(all, Change{kind, line[2:]})
		case strings.HasPrefix(line, "  ") && len(all) > 0:
			all[len(all)-1].Text += " " + strings.TrimSpace(line)
		}
	}
	return all
}
