// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Test is what Shown needs of a *testing.T.
type Test interface {
	Helper()
	Name() string
	Failed() bool
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Shown are the blocks of a page that say that the calling test runs them.
type Shown struct {
	t    Test
	page string
	rest []Block
}

// ShownBy returns the blocks of a page, named from the repository's root, whose mark is "run by" and the calling test, in the
// page's order. The test fails if there is none, and at its end if it hasn't taken all of them: what a page says of a test
// is true because the test runs the page's text and no copy of it. TestRunBy of test/docs wants each test that a page names
// to call ShownBy with that page.
func ShownBy(t Test, page string) *Shown {
	t.Helper()
	_, folder, err := here()
	if err != nil {
		t.Fatalf("%v", err)
	}
	p, err := Read(page)
	if err != nil {
		t.Fatalf("%v", err)
	}
	name, _, _ := strings.Cut(t.Name(), "/")
	s := &Shown{t: t, page: page}
	for _, b := range p.Blocks {
		if b.Mark == (Mark{"run by", filepath.ToSlash(folder) + " " + name}) {
			s.rest = append(s.rest, b)
		}
	}
	if len(s.rest) == 0 {
		t.Fatalf("no block of %s has the mark that %s of %s runs it", page, name, folder)
	}
	t.Cleanup(func() {
		for _, b := range s.rest {
			if !t.Failed() {
				t.Errorf("%s says that %s runs it, which has ended without", b, name)
			}
		}
	})
	return s
}

// Next takes the next block. The test fails if there is none.
func (s *Shown) Next() Block {
	s.t.Helper()
	if len(s.rest) == 0 {
		s.t.Fatalf("%s has no more blocks that this test runs", s.page)
	}
	b := s.rest[0]
	s.rest = s.rest[1:]
	return b
}

// All takes all blocks that are left.
func (s *Shown) All() []Block {
	all := s.rest
	s.rest = nil
	return all
}

// Read reads a page, named from the root of the module that the calling test is in.
func Read(page string) (Page, error) {
	root, _, err := here()
	if err != nil {
		return Page{}, err
	}
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		return Page{}, err
	}
	return parse(page, string(text))
}

// here is the module's root, and the test's package below it: a test runs in its package's folder.
func here() (root, folder string, err error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", "", fmt.Errorf("find the package of the test: %w", err)
	}
	for root = dir; ; root = filepath.Dir(root) {
		_, err := os.Stat(filepath.Join(root, "go.mod"))
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || root == filepath.Dir(root) {
			return "", "", fmt.Errorf("find the module of %s: %w", dir, err)
		}
	}
	folder, err = filepath.Rel(root, dir)
	return root, folder, err
}
