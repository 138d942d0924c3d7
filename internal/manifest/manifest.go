// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// Options say where manifests come from and what completes them.
type Options struct {
	// Paths are files, folders (their *.yaml, *.yml and *.json in the order of names), and "-" for
	// Stdin.
	Paths []string
	// Recursive descends into the folders of folders.
	Recursive bool
	// Stdin is what "-" reads.
	Stdin io.Reader
	// Namespace is given to manifests that have none.
	Namespace string
	// NamespaceEnforced makes a manifest of any other namespace a problem.
	NamespaceEnforced bool
	// Watched says that files are read again when they change: then a folder may be empty, and files have to be regular
	// ones, since nothing else can be read twice.
	Watched bool
}

// Set is what was read.
type Set struct {
	// Manifests are the BPFMaps in the order of reading.
	Manifests []Manifest
	// Sources are the ConfigMaps and Secrets, which BPFMaps may take entries from.
	Sources []Source
	// Skipped are the documents of other kinds that are not ours.
	Skipped []Skipped
	// Problems are what can't be read, in the order of reading. A document with a problem is not
	// among the manifests.
	Problems []Problem
}

// Manifest is one BPFMap and where it was read.
type Manifest struct {
	Map   *v1alpha1.BPFMap
	Place Place

	text *text
	// prefix leads from the document's root to the object: "items[2]." in a List.
	prefix string
}

// Skipped is a document of a kind that is not ours.
type Skipped struct {
	Place Place
	// Object is kind and name, as in "Namespace edge".
	Object string
}

// Place is a position in a source.
type Place struct {
	// File is the path as it was given or found; "standard input" for "-".
	File string
	// Document counts a source's documents from 1. It is 0 if there is only one.
	Document int
	// Line and Column count from 1; 0 if unknown. String has no column: a line is short, and people read it.
	Line, Column int
}

func (p Place) at(s spot) Place {
	p.Line, p.Column = s.line, s.column
	return p
}

// String is "maps.yaml:14 (document 2)".
func (p Place) String() string {
	s := p.File
	if strings.ContainsFunc(s, unicode.IsControl) { // a line break in a name must not look like another message
		s = strconv.Quote(s)
	}
	if p.Line > 0 {
		s = fmt.Sprintf("%s:%d", s, p.Line)
	}
	if p.Document > 0 {
		s = fmt.Sprintf("%s (document %d)", s, p.Document)
	}
	return s
}

// Problem is why a document, or a field of it, is refused.
type Problem struct {
	Place Place
	// Object is "namespace/name" of the BPFMap, or empty if the document is none.
	Object string
	// Path is the field, as in "spec.value.fields[1].type"; empty for the whole document.
	Path    string
	Message string
}

// Error is "maps.yaml:14: edge/blocklist: spec.maxEntrys: unknown field".
func (p Problem) Error() string {
	parts := slices.DeleteFunc([]string{p.Place.String(), p.Object, p.Path, p.Message}, func(s string) bool { return s == "" })
	return strings.Join(parts, ": ")
}

// Name is "namespace/name".
func (m *Manifest) Name() string { return m.Map.Namespace + "/" + m.Map.Name }

// Folder is the folder that paths in the manifest are relative to: that of its file, or the current one.
func (m *Manifest) Folder() string {
	if m.Place.File == display("-") {
		return "."
	}
	return filepath.Dir(m.Place.File)
}

// At is the place of a field of the object, as in "spec.entries[7].value.rule": of the nearest enclosing
// one if the field itself isn't there.
func (m *Manifest) At(path string) Place {
	at, _ := m.text.find(m.prefix + path)
	return m.Place.at(at)
}

// Read reads all manifests. It continues after a problem, so that one run shows all of them; two
// manifests of one namespace and name are a problem and neither of them is among the manifests.
func Read(o Options) Set {
	var set Set
	for _, path := range o.Paths {
		sources, err := open(path, o)
		if err != nil {
			set.Problems = append(set.Problems, Problem{Place: Place{File: display(path)}, Message: cause(err)})
		}
		for _, s := range sources {
			set.addSource(s, o)
		}
	}
	set.refuseDuplicates()
	return set
}

func (s *Set) refuseDuplicates() {
	first := map[string]Place{}
	refused := map[string]bool{}
	for _, m := range s.Manifests {
		place, again := first[m.Name()]
		if !again {
			first[m.Name()] = m.Place
			continue
		}
		refused[m.Name()] = true
		s.Problems = append(s.Problems, Problem{
			Place: m.Place, Object: m.Name(),
			Message: fmt.Sprintf("declared twice: here and in %s", place),
		})
	}
	s.Manifests = slices.DeleteFunc(s.Manifests, func(m Manifest) bool { return refused[m.Name()] })
}
