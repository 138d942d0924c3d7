// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Page is a Markdown file.
type Page struct {
	Path    string // from the repository's root
	Blocks  []Block
	Links   []Link
	Anchors []string // of its headings, as GitHub makes them
}

// Block is a fenced block of code.
type Block struct {
	Page     string
	Line     int // of the fence, from 1
	Language string
	Text     string
	Mark     Mark
	Before   string // the line of prose before it
}

// String is the block's place.
func (b Block) String() string { return fmt.Sprintf("%s:%d", b.Page, b.Line) }

// Mark says what becomes of a block: "run" "machine", "not run" "needs a cluster". Both are empty without one.
type Mark struct{ Verb, Argument string }

// Link is a link or an image of a page.
type Link struct {
	Line   int
	Target string
}

// Pages are README.md, CONTRIBUTING.md and their kind, docs and the chart's README, below root.
func Pages(root string) ([]Page, error) {
	paths, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		return nil, err
	}
	paths = append(paths, filepath.Join(root, "charts/bpfmap-operator/README.md"))
	err = filepath.WalkDir(filepath.Join(root, "docs"), func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".md" {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	pages := make([]Page, 0, len(paths))
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return nil, err
		}
		page, err := parse(name, string(text))
		if err != nil {
			return nil, err
		}
		pages = append(pages, page)
	}
	return pages, nil
}

var (
	fence   = regexp.MustCompile("^( *)(```+)([a-z]*)$")
	comment = regexp.MustCompile(`^<!-- (.*) -->$`)
	heading = regexp.MustCompile(`^#{1,6} +(.*)$`)
	link    = regexp.MustCompile(`\]\(([^()\s]+(?:\([^()\s]*\)[^()\s]*)*)\)`)
	code    = regexp.MustCompile("`[^`]*`")
	verbs   = []string{"run by", "not run", "part of", "run", "file"}
)

func parse(name, text string) (Page, error) {
	p := Page{Path: name}
	var own, all Mark
	var open *Block
	indent, ticks, before := "", "", ""
	for i, line := range strings.Split(text, "\n") {
		at := fmt.Sprintf("%s:%d", name, i+1)
		if open != nil {
			if strings.TrimSpace(line) == ticks {
				p.Blocks = append(p.Blocks, *open)
				open = nil
				continue
			}
			open.Text += strings.TrimPrefix(line, indent) + "\n"
			continue
		}
		switch {
		case fence.MatchString(line):
			m := fence.FindStringSubmatch(line)
			indent, ticks = m[1], m[2]
			mark := all
			if own.Verb != "" {
				mark = own
			}
			open, own = &Block{Page: name, Line: i + 1, Language: m[3], Mark: mark, Before: before}, Mark{}
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			return p, fmt.Errorf("%s: %q isn't the beginning of a block: a language in lower case and nothing else", at, line)
		case strings.TrimSpace(line) == "":
		case comment.MatchString(strings.TrimSpace(line)):
			m := comment.FindStringSubmatch(strings.TrimSpace(line))
			text, forAll := strings.CutPrefix(m[1], "blocks: ")
			if world, command, ok := aside(text); ok {
				p.Blocks = append(p.Blocks, Block{Page: name, Line: i + 1, Language: "sh", Text: command + "\n", Mark: Mark{"run", world}})
				continue
			}
			mark, err := mark(text)
			if err != nil {
				return p, fmt.Errorf("%s: %w", at, err)
			}
			if forAll {
				all = mark
			} else if mark.Verb != "" {
				own = mark
			}
		default:
			if own.Verb != "" {
				return p, fmt.Errorf("%s: the mark before it belongs to no block", at)
			}
			p.prose(i+1, line)
			before = line
		}
	}
	if open != nil {
		return p, fmt.Errorf("%s: the block has no end", open)
	}
	return p, nil
}

// aside reads "aside: machine: COMMAND".
func aside(text string) (world, command string, ok bool) {
	text, ok = strings.CutPrefix(text, "aside: ")
	if !ok {
		return "", "", false
	}
	return strings.Cut(text, ": ")
}

// mark reads a comment; one that begins with no verb isn't a mark.
func mark(text string) (Mark, error) {
	for _, verb := range verbs {
		if argument, ok := strings.CutPrefix(text, verb+": "); ok {
			return Mark{verb, argument}, nil
		}
		if strings.HasPrefix(text, verb+" ") {
			return Mark{}, fmt.Errorf("the comment %q looks like a mark and isn't one: see test/docs/doc.go", text)
		}
	}
	return Mark{}, nil
}

// prose takes headings and links of a line that is outside of blocks.
func (p *Page) prose(number int, line string) {
	if m := heading.FindStringSubmatch(line); m != nil {
		anchor := anchor(m[1])
		for n := 1; slices.Contains(p.Anchors, anchor); n++ {
			anchor = fmt.Sprintf("%s-%d", strings.TrimSuffix(anchor, fmt.Sprintf("-%d", n-1)), n)
		}
		p.Anchors = append(p.Anchors, anchor)
	}
	for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(line, "`code`"), -1) {
		p.Links = append(p.Links, Link{number, m[1]})
	}
}

var linked = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)

// anchor is what GitHub and the site make of a heading: letters, digits, hyphens and underscores in lower case, blanks
// as hyphens.
func anchor(heading string) string {
	heading = linked.ReplaceAllString(heading, "$1")
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(heading))
}
