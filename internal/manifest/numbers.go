// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"regexp"

	"github.com/bpfmap-io/bpfmap-operator/internal/number"
)

// maybeAmbiguous is in every text that has an ambiguous number: most have none, and are parsed once only.
var maybeAmbiguous = regexp.MustCompile(`[\s:,\[{-][-+]?(0[0-9_bBoO]|[0-9][0-9.]*_)`)

// ambiguousNumbers are the numbers of a map's spec that other tools read in another way. The mode of a pin isn't one: it
// is octal, and a string.
func (o object) ambiguousNumbers() []Problem {
	if !maybeAmbiguous.Match(o.doc.data) {
		return nil
	}
	path := o.prefix + "spec"
	spec, _, depth := o.doc.node(path)
	if depth < len(steps(path)) {
		return nil
	}
	var problems []Problem
	for _, found := range number.Find(spec, "pin") {
		p := o.problem("spec"+found.Path, found.Message)
		p.Place = p.Place.at(spot{o.doc.line + found.Node.Line - 1, found.Node.Column})
		problems = append(problems, p)
	}
	return problems
}
