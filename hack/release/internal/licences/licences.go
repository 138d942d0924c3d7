// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package licences finds the licences of everything that is in a binary: of the modules whose packages are linked, of
// parts of them that have one of their own, and of Go's standard library.
package licences

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// Module is one with packages in the binary. Go's standard library is the module "std" with Go's version.
type Module struct {
	Path, Version string
	// Sum is the checksum that go.sum has of it; empty for std.
	Sum string
	// Licence is an SPDX expression of all licences that its texts are.
	Licence string
	// Texts are its licences and notices, those of its root first.
	Texts []Text
}

// Text is a file that has to go with the binary.
type Text struct {
	// Name is the file's path in its module.
	Name    string
	Content string
}

// allowed are the licences that a binary under Apache-2.0 may hold when their texts go with it. Another one stops the
// release until somebody has looked at it and adds it here.
var allowed = map[string]bool{
	"Apache-2.0": true, "BSD-2-Clause": true, "BSD-3-Clause": true, "ISC": true, "MIT": true, "MPL-2.0": true, "Zlib": true,
	"CC0-1.0": true, "Unlicense": true, "BSL-1.0": true,
}

// fileName matches the names under which licences and notices are kept.
var fileName = regexp.MustCompile(`(?i)^(licen[cs]es?|copying|copyright|notices?|patents|unlicense)([._-].*)?$`)

// source matches code that only has such a name.
var source = regexp.MustCompile(`(?i)\.(go|s|c|h|py|sh|json|ya?ml|tmpl)$`)

// minCoverage is how much of a text, in percent, must be known wording for the licence to count as found. Lists of
// copyright holders are what is usually not.
const minCoverage = 75

// maxText bounds a licence file. The longest that was seen has 35 kB.
const maxText = 1 << 20

// Read fills in the licence and the texts of the module whose files are in dir and whose packages in the binary are in
// packages, as absolute folders: files of the root, and of each folder between it and a package.
func (m *Module) Read(dir string, packages []string) error {
	folders := []string{dir}
	for _, p := range packages {
		rel, err := filepath.Rel(dir, p)
		if err != nil || !filepath.IsLocal(rel) {
			return fmt.Errorf("read licences of %s: package folder %s isn't in %s", m.Path, p, dir)
		}
		for f := p; f != dir && !slices.Contains(folders, f); f = filepath.Dir(f) {
			folders = append(folders, f)
		}
	}
	slices.Sort(folders)
	var ids []string
	for _, folder := range folders {
		texts, err := inFolder(dir, folder)
		if err != nil {
			return fmt.Errorf("read licences of %s: %w", m.Path, err)
		}
		m.Texts = append(m.Texts, texts...)
		for _, t := range texts {
			// A grant of patents comes beside a licence and has no identifier.
			if !strings.EqualFold(filepath.Base(t.Name), "PATENTS") {
				ids = append(ids, identify(t.Content)...)
			}
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for _, id := range ids {
		if !allowed[id] {
			return fmt.Errorf("read licences of %s %s: %s isn't among the licences that a release may hold: look at it, and add it to hack/release/internal/licences if it may", m.Path, m.Version, id)
		}
	}
	if len(ids) == 0 {
		return fmt.Errorf("read licences of %s %s: no known licence in %s", m.Path, m.Version, dir)
	}
	m.Licence = strings.Join(ids, " AND ")
	return nil
}

func inFolder(root, folder string) (texts []Text, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !fileName.MatchString(e.Name()) || source.MatchString(e.Name()) {
			continue
		}
		path := filepath.Join(folder, e.Name())
		if info, err := e.Info(); err != nil {
			return nil, err
		} else if info.Size() > maxText {
			return nil, fmt.Errorf("%s has %d bytes: a licence's text must have at most %d", path, info.Size(), maxText)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return nil, err
		}
		texts = append(texts, Text{name, string(bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n")))})
	}
	return texts, nil
}

// identify gives the SPDX identifiers of the licences that a text is, none if it is something else: a notice, say.
func identify(text string) (ids []string) {
	found := licensecheck.Scan([]byte(text))
	if found.Percent < minCoverage {
		return nil
	}
	for _, m := range found.Match {
		if !m.IsURL {
			ids = append(ids, m.ID)
		}
	}
	return ids
}
