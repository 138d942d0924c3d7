// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernels_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/test/kernels"
	"github.com/bpfmap-io/bpfmap-operator/test/program"
)

// bpfmapPath is the path of the bpfmap binary.
var bpfmapPath string

func TestMain(m *testing.M) { os.Exit(program.Main(m, &bpfmapPath)) }

// version is the running kernel's.
func version(t *testing.T, m kernels.Matrix) (k maptype.Kernel) {
	t.Helper()
	if _, err := fmt.Sscanf(m.Version(), "%d.%d", &k.Major, &k.Minor); err != nil {
		t.Fatalf("the kernel's release %q: %v", m.Release, err)
	}
	return k
}

// TestSamples has the command line apply the samples that need no other thing of the node, each map for itself and
// twice: what this kernel has is made, and unchanged the second time; the rest is refused as not supported.
func TestSamples(t *testing.T) {
	running := version(t, kernels.Matrix{Release: release(t)})
	bpffs := bpftest.BPFFS(t)
	paths := []string{"../../config/samples", "../../config/samples/types"}
	for _, want := range []string{"created", "unchanged"} {
		args := []string{"apply", "--bpffs", bpffs, "--cgroup-root", "/sys/fs/cgroup"}
		for _, path := range paths {
			args = append(args, "-f", path)
		}
		out, err := exec.Command(bpfmapPath, args...).CombinedOutput()
		t.Logf("bpfmap %s: %v\n%s", strings.Join(args, " "), err, out)
		made, refused := 0, 0
		for _, m := range samples(t) {
			line := lineOf(string(out), m.Namespace+"/"+m.Name)
			if line == "" {
				continue // a sample of the folder node
			}
			typ := maptype.ByName(string(m.Spec.Type))
			switch {
			case running.Before(typ.Since):
				refused++
				if !strings.Contains(line, "NotSupported") {
					t.Errorf("%s, a type of %s, on %s: %q, want NotSupported", typ.Name, typ.Since, running, line)
				}
			case !strings.Contains(line, want):
				t.Errorf("%s: %q, want %q", typ.Name, line, want)
			default:
				made++
			}
		}
		if made < 20 || (refused == 0) != (err == nil) {
			t.Errorf("%d maps are %s and %d refused, and the program says %v", made, want, refused, err)
		}
	}
}

// lineOf is the first line that tells of a map.
func lineOf(out, name string) string {
	for line := range strings.Lines(out) {
		for word := range strings.FieldsSeq(line) {
			if strings.HasSuffix(strings.TrimRight(word, ":"), name) {
				return strings.TrimSpace(line)
			}
		}
	}
	return ""
}
