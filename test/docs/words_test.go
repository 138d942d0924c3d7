// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestWords wants each word that pages write as code and as reasons, values and kinds are written (`PinNotAllowed`) to be one
// of the API's or the program's: a reason that is renamed would stay in the pages else. Decisions tell of their time.
func TestWords(t *testing.T) {
	others := []string{"CiliumCIDRGroup", "HostToContainer"} // Cilium's and Kubernetes' own
	word, shown := regexp.MustCompile(`\b[A-Z][A-Za-z]+\b`), regexp.MustCompile("`([A-Z][a-z]+[A-Z][A-Za-z]+)`")
	known := map[string]bool{}
	for _, folder := range []string{"api", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, w := range word.FindAllString(string(text), -1) {
				known[w] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	for _, p := range pages(t) {
		if strings.HasPrefix(p.Path, "docs/adr/0") || p.Path == "CHANGELOG.md" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, p.Path))
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			for _, m := range shown.FindAllStringSubmatch(line, -1) {
				if seen++; !known[m[1]] && !slices.Contains(others, m[1]) {
					t.Errorf("%s:%d: %s is nothing that the API or the program has", p.Path, i+1, m[1])
				}
			}
		}
	}
	if seen < 200 {
		t.Errorf("%d words: the pages have more", seen)
	}
}
