// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// chartdoc writes the table of a chart's values into its README, from the comments "# -- ..." of values.yaml.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The table is between these lines.
const (
	begin = "<!-- values: begin (make generate) -->\n"
	end   = "<!-- values: end -->"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: chartdoc VALUES README")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "chartdoc:", err)
		os.Exit(1)
	}
}

func run(valuesPath, readmePath string) error {
	content, err := os.ReadFile(valuesPath)
	if err != nil {
		return err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return fmt.Errorf("read %s: %w", valuesPath, err)
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return fmt.Errorf("%s holds no map", valuesPath)
	}
	table, err := rows("", document.Content[0])
	if err != nil {
		return fmt.Errorf("%s: %w", valuesPath, err)
	}
	readme, err := os.ReadFile(readmePath)
	if err != nil {
		return err
	}
	text, err := between(string(readme), "| value | default | what it does |\n|---|---|---|\n"+table)
	if err != nil {
		return fmt.Errorf("%s: %w", readmePath, err)
	}
	return os.WriteFile(readmePath, []byte(text), 0o644)
}

func between(text, table string) (string, error) {
	before, rest, ok := strings.Cut(text, begin)
	_, after, okEnd := strings.Cut(rest, end)
	if !ok || !okEnd {
		return "", errors.New("the lines around the table of values are missing: " + strings.TrimSpace(begin) + " and " + end)
	}
	return before + begin + table + end + after, nil
}

// rows are those of the values below a path: one for each that has a comment.
func rows(path string, group *yaml.Node) (string, error) {
	var all strings.Builder
	for i := 0; i < len(group.Content); i += 2 {
		key, value := group.Content[i], group.Content[i+1]
		name := path + key.Value
		if about := description(key.HeadComment); about != "" {
			plain, err := fallback(value)
			if err != nil {
				return "", fmt.Errorf("%s: %w", name, err)
			}
			fmt.Fprintf(&all, "| `%s` | `%s` | %s |\n", name, cell(plain), cell(about))
			continue
		}
		if value.Kind != yaml.MappingNode || len(value.Content) == 0 {
			return "", fmt.Errorf("line %d: %s has no comment that begins with \"# -- \"", key.Line, name)
		}
		below, err := rows(name+".", value)
		if err != nil {
			return "", err
		}
		all.WriteString(below)
	}
	return all.String(), nil
}

// description is a comment from the line that begins with "# -- " on.
func description(comment string) string {
	var words []string
	for line := range strings.SplitSeq(comment, "\n") {
		if about, ok := strings.CutPrefix(line, "# -- "); ok {
			words = []string{about}
		} else if len(words) > 0 {
			words = append(words, strings.TrimSpace(strings.TrimPrefix(line, "#")))
		}
	}
	return strings.Join(words, " ")
}

// fallback is a default as JSON, on one line.
func fallback(value *yaml.Node) (string, error) {
	var plain any
	if err := value.Decode(&plain); err != nil {
		return "", err
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(plain)
	return strings.TrimSpace(text.String()), err
}

// cell is a text in a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(text)
}
