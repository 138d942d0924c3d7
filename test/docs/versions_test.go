// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestVersions holds the versions in the pages to the files that decide them.
func TestVersions(t *testing.T) {
	text := func(path string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, v := range []struct {
		file, decides string // the version is the first group
		pages         map[string]string
	}{
		{"charts/bpfmap-operator/Chart.yaml", `kubeVersion: ">=(\d+\.\d+)\.`, map[string]string{"README.md": "Kubernetes VERSION and newer", "docs/support.md": "| VERSION | oldest:"}},
		{"hack/controlplane/go.mod", `k8s.io/kubernetes v(\d+\.\d+)\.`, map[string]string{"docs/support.md": "| VERSION | the version that everything is developed with | by every run of CI"}},
		{"hack/controlplane/go.mod", `helm.sh/helm/v3 v(\d+\.\d+)\.`, map[string]string{"docs/support.md": "VERSION by every run of CI"}},
		{"go.mod", `(?m)^go (\d+\.\d+)`, map[string]string{"docs/support.md": "| Go, to build | VERSION |", "CONTRIBUTING.md": "Go VERSION,"}},
		{"go.mod", `github.com/cilium/ebpf v(\d+\.\d+)\.`, map[string]string{"docs/support.md": "cilium/ebpf VERSION |", "docs/performance.md": "`github.com/cilium/ebpf` VERSION"}},
		{"Makefile", `(?m)^KERNELS +\?= (\S+) `, map[string]string{
			"README.md": "on Linux VERSION and newer", "docs/kernels.md": "Linux VERSION and newer", "docs/support.md": "\nVERSION and newer. CI", "docs/tutorial.md": "(VERSION or newer)",
			"docs/operations.md": "Linux VERSION or newer", "docs/newer-kernels.md": "from Linux VERSION on",
		}},
		{"Makefile", `(?m)^KERNELS +\?= (.+) newest$`, map[string]string{"README.md": "Linux LIST and the newest", "docs/support.md": "on LIST and Debian's newest"}},
	} {
		m := regexp.MustCompile(v.decides).FindStringSubmatch(text(v.file))
		if m == nil {
			t.Errorf("%s has no %s", v.file, v.decides)
			continue
		}
		for page, says := range v.pages {
			says = strings.NewReplacer("VERSION", m[1], "LIST", strings.Join(strings.Fields(m[1]), ", ")).Replace(says)
			if !strings.Contains(text(page), says) {
				t.Errorf("%s doesn't say %q, which %s decides", page, says, v.file)
			}
		}
	}
}
