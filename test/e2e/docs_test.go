// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/test/docs"
)

// TestDocumentation runs the blocks of each page that need pods, in the order of the page and in one shell.
func TestDocumentation(t *testing.T) {
	t.Cleanup(func() {
		ctx := context.Background()
		kubectl := func(args ...string) { _ = quiet(ctx, "kubectl", append(args, "--ignore-not-found")...) }
		kubectl("delete", "namespace", "monitoring")
		kubectl("delete", "clusterrolebinding", "prometheus-reads-bpfmap")
		kubectl("delete", "bpfmap", "debug", "-n", "default")
		if err := install(ctx); err != nil {
			t.Error(err)
		}
	})
	pages, err := docs.Pages(root)
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, page := range pages {
		script := ""
		for _, block := range page.Blocks {
			if block.Mark.Verb == "run" && strings.Contains(block.Mark.Argument, "pods") {
				script += "echo '== " + block.String() + "'\n" + block.Text
			}
		}
		if script == "" {
			continue
		}
		ran++
		t.Run(page.Path, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*limit)
			defer cancel()
			cmd := exec.CommandContext(ctx, "bash", "-c", "set -e -o pipefail\nexec 2>&1\n"+script)
			cmd.Dir = root
			cmd.Env = append(os.Environ(), "PATH="+filepath.Join(root, "bin")+":"+os.Getenv("PATH"))
			cmd.WaitDelay = 5 * time.Second
			if out, err := cmd.Output(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	if ran == 0 {
		t.Error("no page has a block that needs pods")
	}
}
