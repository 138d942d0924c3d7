// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"

	kjson "sigs.k8s.io/json"
)

// syntaxError is a message at a line of the source.
type syntaxError struct {
	line    int // 0 if unknown
	message string
}

func (e *syntaxError) Error() string { return e.message }

func syntaxProblem(place Place, err error) Problem {
	if syntax := (*syntaxError)(nil); errors.As(err, &syntax) && syntax.line > 0 {
		place.Line = syntax.line
	}
	return Problem{Place: place, Message: err.Error()}
}

func jsonSyntax(data []byte, err error) error {
	offset := int64(len(data))
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		offset = min(syntax.Offset, offset)
	}
	return &syntaxError{line: 1 + bytes.Count(bytes.TrimRight(data[:offset], " \t\r\n"), []byte("\n")), message: err.Error()}
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)

// yamlErrors are the messages of the YAML parser, which has its line numbers, counted from the
// document's first line, only in the text. At the end of a document they may be one too many.
func yamlErrors(err error, doc *text) []error {
	last := doc.line + bytes.Count(doc.data, []byte("\n"))
	var all []error
	for _, line := range strings.Split(strings.TrimPrefix(err.Error(), "yaml: unmarshal errors:\n"), "\n") {
		line = strings.TrimSpace(line)
		e := &syntaxError{message: strings.TrimPrefix(line, "yaml: ")}
		if m := yamlLine.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[1])
			e.line, e.message = min(doc.line+n-1, last), line[len(m[0]):]
		}
		all = append(all, e)
	}
	return all
}

func (o object) problem(path, message string) Problem {
	p := Problem{Place: o.place, Path: path, Message: message}
	if at, depth := o.doc.find(o.prefix + path); depth > 0 {
		p.Place = p.Place.at(at)
	}
	return p
}

// strictProblem is an unknown or a doubled field.
func (o object) strictProblem(err error) Problem {
	field, ok := err.(kjson.FieldError) //nolint:errorlint // the documented way, and nothing wraps it
	if !ok {
		return o.problem("", err.Error())
	}
	message, _, _ := strings.Cut(err.Error(), " \"")
	if strings.HasPrefix(message, "unknown field") {
		message += suggestField(field.FieldPath())
	}
	return o.problem(field.FieldPath(), message)
}
