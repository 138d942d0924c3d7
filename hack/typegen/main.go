// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command typegen writes what depends on internal/maptype and can't read it while it runs: the constants
// of the API and of internal/bpf, and the tables of docs/concepts.md.
//
// Usage: typegen DIRECTORY, the root of the repository
package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

var (
	//go:embed api.go.tmpl
	apiTemplate string
	//go:embed bpf.go.tmpl
	bpfTemplate string
)

// generated are the files of code and their templates.
var generated = map[string]string{
	"api/v1alpha1/zz_generated.maptype.go": apiTemplate,
	"internal/bpf/zz_generated.maptype.go": bpfTemplate,
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: typegen DIRECTORY")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "typegen:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	for file, text := range generated {
		code, err := code(text)
		if err != nil {
			return fmt.Errorf("write %s: %w", file, err)
		}
		if err := os.WriteFile(filepath.Join(root, file), code, 0o644); err != nil {
			return err
		}
	}
	return document(filepath.Join(root, "docs", "concepts.md"))
}

// code is a template filled in and formatted.
func code(text string) ([]byte, error) {
	t, err := template.New("").Funcs(template.FuncMap{"wrap": wrap, "alwaysCarry": alwaysCarry}).Parse(text)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, struct {
		Types      []*maptype.Type
		Offered    []*maptype.Type
		Enum       string
		Flags      []maptype.Flag
		FlagEnum   string
		NotOffered string
	}{maptype.All(), maptype.Offered(), enum(maptype.Offered()), maptype.AllFlags(), flagEnum(), notOffered()})
	if err != nil {
		return nil, err
	}
	return format.Source(out.Bytes())
}

func enum(types []*maptype.Type) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.Name
	}
	return strings.Join(names, ";")
}

func flagEnum() string {
	var names []string
	for _, f := range maptype.AllFlags() {
		if f.Offered {
			names = append(names, f.Name)
		}
	}
	return strings.Join(names, ";")
}

// notOffered tells which of the kernel's types are missing, and why.
func notOffered() string {
	var all []string
	for _, t := range maptype.All() {
		if !t.IsOffered() {
			all = append(all, t.Name+" ("+t.NotOffered+")")
		}
	}
	return maptype.List(all)
}

// alwaysCarry says which types carry a flag, named or not.
func alwaysCarry(f maptype.Flag) string {
	var names []string
	for _, t := range maptype.Offered() {
		if t.Implied&f.Bit != 0 {
			names = append(names, t.Name)
		}
	}
	switch len(names) {
	case 0:
		return ""
	case 1:
		return " " + names[0] + " always carries it."
	default:
		return " " + maptype.List(names) + " always carry it."
	}
}

// wrap is text as a comment of lines that aren't too long, with an indent before each.
func wrap(indent, text string) string {
	const width = 100
	var out strings.Builder
	line := indent + "//"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > width {
			out.WriteString(line + "\n")
			line = indent + "//"
		}
		line += " " + word
	}
	out.WriteString(line)
	return out.String()
}
