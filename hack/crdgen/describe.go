// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// enum is a string type of the API with its constants.
type enum struct {
	doc string
	// values are in the order of the source, meanings beside them; empty where a constant has no comment.
	values, meanings []string
}

// enums are the string types of the API package in a folder, by their values.
func enums(folder string) (map[string]*enum, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no Go files in %s", folder)
	}
	if err != nil {
		return nil, err
	}
	types := map[string]*enum{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				collect(types, g)
			}
		}
	}
	byValues := map[string]*enum{}
	for _, e := range types {
		if len(e.values) > 1 {
			byValues[setOf(e.values)] = e
		}
	}
	return byValues, nil
}

// collect adds what a declaration says about string types and their constants.
func collect(types map[string]*enum, g *ast.GenDecl) {
	of := func(name string) *enum {
		if types[name] == nil {
			types[name] = &enum{}
		}
		return types[name]
	}
	for _, spec := range g.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			of(s.Name.Name).doc = cleaned(g.Doc.Text())
		case *ast.ValueSpec:
			typ, ok := s.Type.(*ast.Ident)
			if g.Tok != token.CONST || !ok || len(s.Values) != 1 {
				continue
			}
			literal, ok := s.Values[0].(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				continue
			}
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				continue // the compiler says so
			}
			meaning := strings.TrimPrefix(cleaned(s.Doc.Text()), s.Names[0].Name+" ")
			e := of(typ.Name)
			e.values, e.meanings = append(e.values, value), append(e.meanings, meaning)
		}
	}
}

// cleaned is a comment without its markers.
func cleaned(doc string) string {
	var lines []string
	for line := range strings.Lines(doc) {
		if !strings.HasPrefix(line, "+") {
			lines = append(lines, strings.TrimSpace(line)) // gofmt indents lists
		}
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

func setOf(values []string) string {
	values = slices.Sorted(slices.Values(values))
	return strings.Join(values, " ")
}

// describe finishes descriptions: lines of Go comments become paragraphs, and the values of enums are explained
// where they stand, as their constants explain them.
func describe(node any, known map[string]*enum) {
	switch n := node.(type) {
	case map[string]any:
		if text, ok := n["description"].(string); ok {
			if list, ok := n["enum"].([]any); ok {
				text += known[setOf(texts(list))].explain()
			}
			n["description"] = joined(text)
		}
		for _, child := range n {
			describe(child, known)
		}
	case []any:
		for _, child := range n {
			describe(child, known)
		}
	}
}

func texts(list []any) []string {
	var out []string
	for _, value := range list {
		if text, ok := value.(string); ok {
			out = append(out, text)
		}
	}
	return out
}

// explain says what the values mean: each by its constant's comment, or all by the type's.
func (e *enum) explain() string {
	switch {
	case e == nil:
		return ""
	case slices.Contains(e.meanings, ""):
		_, list, found := strings.Cut(e.doc, "\n- ")
		if !found {
			return ""
		}
		return "\n\n- " + list
	}
	var b strings.Builder
	b.WriteString("\n\n")
	for i, value := range e.values {
		fmt.Fprintf(&b, "- %s %s\n", value, e.meanings[i])
	}
	return b.String()
}

// joined is text with each paragraph and each item of a list on one line.
func joined(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		last := len(out) - 1
		if line == "" || strings.HasPrefix(line, "- ") || last < 0 || out[last] == "" {
			out = append(out, line)
			continue
		}
		out[last] += " " + line
	}
	return strings.TrimSpace(strings.Join(out, "\n"))
}
