// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// placeholder stands for a set of map types.
var placeholder = regexp.MustCompile(`\$\{([^}]*)\}`)

// nameTypes writes types in the place of sets: a list of CEL in rules, a sentence's list in messages.
func nameTypes(node any) error {
	switch n := node.(type) {
	case map[string]any:
		for name, child := range n {
			text, isText := child.(string)
			if !isText {
				if err := nameTypes(child); err != nil {
					return err
				}
				continue
			}
			write := maptype.List
			switch name {
			case "rule":
				write = celList
			case "message":
			default:
				if placeholder.MatchString(text) {
					return fmt.Errorf("%s names a set of types, and only rules and messages can: %q", name, text)
				}
				continue
			}
			var err error
			if n[name], err = expand(text, write); err != nil {
				return err
			}
		}
	case []any:
		for _, child := range n {
			if err := nameTypes(child); err != nil {
				return err
			}
		}
	}
	return nil
}

func expand(text string, write func([]string) string) (string, error) {
	var err error
	out := placeholder.ReplaceAllStringFunc(text, func(match string) string {
		name := match[len("${") : len(match)-1]
		types, ok := maptype.Set(name)
		if !ok || len(types) == 0 {
			err = fmt.Errorf("%q in %q: no such set of types, or none in it", name, text)
		}
		return write(types)
	})
	return out, err
}

// celList is a list of strings in CEL.
func celList(types []string) string { return "['" + strings.Join(types, "','") + "']" }
