// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/test/docs"
)

// runs says what is wrong with a block's mark "run by: test/field TestName": there must be that test, and it, or a function
// of its package that it calls, must take the page's blocks by docs.ShownBy, which has the test run all of them. A test of
// another module can't; it must read the page, and look for this mark in it.
func runs(test, page string) string {
	folder, name, ok := strings.Cut(test, " ")
	p, err := read(folder)
	if err != nil || !ok || p.functions[name] == nil {
		return fmt.Sprintf("the package %s has no test %s (%v)", folder, name, err)
	}
	if _, err := os.Stat(filepath.Join(root, folder, "go.mod")); err == nil {
		if !p.mentions(name, "run by: "+test) || !p.mentions(name, page) {
			return fmt.Sprintf("%s of %s, another module, doesn't read %s and look for its mark", name, folder, page)
		}
		return ""
	}
	if !p.shows(name, page, map[string]bool{}) {
		return fmt.Sprintf("%s of %s doesn't take the blocks of this page, by docs.ShownBy(t, %q)", name, folder, page)
	}
	return ""
}

// tests are the functions of a package's tests, by name, and its constants.
type tests struct {
	functions map[string]*ast.FuncDecl
	constants map[string]string
}

func read(folder string) (*tests, error) {
	files, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
	if err != nil {
		return nil, err
	}
	p := &tests{map[string]*ast.FuncDecl{}, map[string]string{}}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				p.functions[d.Name.Name] = d
			case *ast.GenDecl:
				p.constantsOf(d)
			}
		}
	}
	return p, nil
}

func (p *tests) constantsOf(d *ast.GenDecl) {
	for _, s := range d.Specs {
		v, ok := s.(*ast.ValueSpec)
		if !ok || d.Tok != token.CONST {
			continue
		}
		for i, name := range v.Names {
			if i < len(v.Values) {
				p.constants[name.Name] = p.text(v.Values[i])
			}
		}
	}
}

// text is the value of a string, or of a constant that is one.
func (p *tests) text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil {
			return s
		}
	case *ast.Ident:
		return p.constants[e.Name]
	}
	return ""
}

// shows follows the calls of a function within its package.
func (p *tests) shows(function, page string, seen map[string]bool) (found bool) {
	f := p.functions[function]
	if f == nil || f.Body == nil || seen[function] {
		return false
	}
	seen[function] = true
	ast.Inspect(f.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || found {
			return !found
		}
		switch called := call.Fun.(type) {
		case *ast.Ident:
			found = p.shows(called.Name, page, seen)
		case *ast.SelectorExpr:
			if of, ok := called.X.(*ast.Ident); ok && of.Name == "docs" && called.Sel.Name == "ShownBy" && len(call.Args) == 2 {
				found = p.text(call.Args[1]) == page
			} else {
				found = p.shows(called.Sel.Name, page, seen)
			}
		}
		return !found
	})
	return found
}

// mentions says whether a string in a function has these words.
func (p *tests) mentions(function, words string) (found bool) {
	ast.Inspect(p.functions[function].Body, func(n ast.Node) bool {
		literal, ok := n.(*ast.BasicLit)
		found = found || ok && strings.Contains(literal.Value, words)
		return !found
	})
	return found
}

// TestRunBy: a mark is believed only if the test takes the page's blocks.
func TestRunBy(t *testing.T) {
	for _, test := range []struct{ mark, page, want string }{
		{"test/field TestDocumentation", "docs/program-owned.md", ""},
		{"test/field TestDocumentation", "docs/feeds.md", "doesn't take the blocks"},
		{"test/docs TestShownBy", "docs/concepts.md", "doesn't take the blocks"},
		{"hack/release TestPage", "docs/verify.md", ""},
		{"hack/release TestPage", "docs/feeds.md", "doesn't read docs/feeds.md"},
		{"test/docs TestRunBy", "docs/nothing.md", "doesn't take the blocks"},
		{"test/docs TestNothing", "docs/nothing.md", "has no test"},
		{"test/nothing TestShownBy", "docs/nothing.md", "has no test"},
		{"test/docs", "docs/nothing.md", "has no test"},
	} {
		if got := runs(test.mark, test.page); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("run by %s, on %s: %q, want %q", test.mark, test.page, got, test.want)
		}
	}
}

// pretended is a test of a name, whose failures are counted.
type pretended struct {
	*testing.T
	name    string
	errors  []string
	cleanup func()
}

func (p *pretended) Name() string     { return p.name }
func (p *pretended) Failed() bool     { return len(p.errors) > 0 }
func (p *pretended) Cleanup(f func()) { p.cleanup = f }
func (p *pretended) Errorf(format string, args ...any) {
	p.errors = append(p.errors, fmt.Sprintf(format, args...))
}
func (p *pretended) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	panic(p.errors[len(p.errors)-1])
}

// TestShownBy: a test gets its own blocks, and fails if it leaves one or wants one more.
func TestShownBy(t *testing.T) {
	const page = "docs/nothing.md"
	fails := func(name string, use func(*docs.Shown), page, want string) {
		t.Helper()
		p := &pretended{T: t, name: name}
		func() {
			defer func() { _ = recover() }()
			s := docs.ShownBy(p, page)
			use(s)
			p.cleanup()
		}()
		if got := strings.Join(p.errors, "\n"); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s on %s fails with %q, want %q", name, page, got, want)
		}
	}
	nothing := func(*docs.Shown) {}
	fails("TestShownBy", nothing, page, "no such file")
	fails("TestOther", nothing, "test/docs/testdata/page.md", "no block of")
	fails("TestShownBy", nothing, "test/docs/testdata/page.md", "page.md:6 says that TestShownBy runs it")
	fails("TestShownBy/part", func(s *docs.Shown) { s.Next() }, "test/docs/testdata/page.md", "page.md:17 says that TestShownBy runs it")
	fails("TestShownBy", func(s *docs.Shown) { s.All(); s.Next() }, "test/docs/testdata/page.md", "no more blocks")
	fails("TestShownBy", func(s *docs.Shown) {
		if first, rest := s.Next(), s.All(); first.Text != "one\n" || len(rest) != 1 || rest[0].Text != "three\n" {
			t.Errorf("%+v and %+v", first, rest)
		}
	}, "test/docs/testdata/page.md", "")
}
