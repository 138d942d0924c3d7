// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package field_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/test/docs"
)

// TestDocumentation runs the shell of the page, word by word and in its order.
func TestDocumentation(t *testing.T) {
	var script strings.Builder
	for _, block := range docs.ShownBy(t, "docs/program-owned.md").All() {
		script.WriteString(block.Text + "echo ==\n")
	}
	m := onWire(t)
	out := m.run("env", "--chdir", m.manifests, "PATH="+filepath.Dir(bpfmapPath)+":"+os.Getenv("PATH"), "sh", "-ec", script.String())
	parts := strings.Split(out, "==")
	const shown = 4
	if len(parts) != shown+1 {
		t.Fatalf("the page shows %d blocks of shell, want %d", len(parts)-1, shown)
	}
	for i, want := range [shown]string{"192.0.2.1 ", "unchanged", "adopted", "192.0.2.1 "} {
		if !strings.Contains(parts[i], want) {
			t.Errorf("block %d prints no %q:\n%s", i+1, want, parts[i])
		}
	}
}
