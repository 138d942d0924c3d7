// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
	"github.com/bpfmap-io/bpfmap-operator/test/docs"
)

var root = controlplane.Root()

func pages(t *testing.T) []docs.Page {
	t.Helper()
	pages, err := docs.Pages(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) < 20 {
		t.Fatalf("%d pages", len(pages))
	}
	return pages
}

// TestLinks follows every relative link to its file, and to its heading.
func TestLinks(t *testing.T) {
	pages := pages(t)
	anchors := map[string][]string{}
	for _, p := range pages {
		anchors[p.Path] = p.Anchors
	}
	followed := 0
	for _, p := range pages {
		for _, l := range p.Links {
			if strings.Contains(l.Target, "://") || strings.HasPrefix(l.Target, "mailto:") {
				continue
			}
			followed++
			file, anchor, hasAnchor := strings.Cut(l.Target, "#")
			target := p.Path
			if file != "" {
				target = path.Join(path.Dir(p.Path), file)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s:%d: the link %s leads nowhere: %v", p.Path, l.Line, l.Target, err)
				continue
			}
			if hasAnchor && !slices.Contains(anchors[target], anchor) {
				t.Errorf("%s:%d: the link %s: %s has no heading of the anchor %q, it has %q", p.Path, l.Line, l.Target, target, anchor, anchors[target])
			}
		}
	}
	if followed < 300 {
		t.Errorf("%d relative links: the pages have more", followed)
	}
}

// TestNavigation wants each page of docs in the site's navigation, once, and nothing else. Decisions are in the list of
// their own page.
func TestNavigation(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "mkdocs.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var site struct {
		Nav []any `json:"nav"`
	}
	if err := yaml.Unmarshal(text, &site); err != nil {
		t.Fatal(err)
	}
	listed := map[string]int{}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			if !strings.Contains(v, "://") {
				listed["docs/"+v]++
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(site.Nav)
	for _, p := range pages(t) {
		if !strings.HasPrefix(p.Path, "docs/") || strings.HasPrefix(p.Path, "docs/adr/0") {
			continue
		}
		if listed[p.Path] != 1 {
			t.Errorf("%s is %d times in the navigation of mkdocs.yml, want once", p.Path, listed[p.Path])
		}
		delete(listed, p.Path)
	}
	for path := range listed {
		t.Errorf("the navigation of mkdocs.yml names %s, which isn't there", path)
	}
}

// TestDecisionsAreListed: docs/adr/README.md links each decision.
func TestDecisionsAreListed(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "docs/adr/0*.md"))
	if err != nil || len(files) < 40 {
		t.Fatalf("%d decisions, %v", len(files), err)
	}
	list, err := os.ReadFile(filepath.Join(root, "docs/adr/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.Contains(string(list), "]("+filepath.Base(file)+")") {
			t.Errorf("docs/adr/README.md doesn't list %s", filepath.Base(file))
		}
	}
}
