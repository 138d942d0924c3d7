// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loaders_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/test/docs"
	"github.com/bpfmap-io/bpfmap-operator/test/golden"
)

const generateDocs = "docs/generate.md"

// generateMachine has the program and bpfmap, and nothing by hand.
func generateMachine(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	mustRun(t, "go", "build", "-o", filepath.Join(dir, "bpfmap"), "../../cmd/bpfmap")
	for name, object := range map[string]string{"firewall.bpf.o": object(t), "firewall-unpinned.bpf.o": object(t, "PINNING=LIBBPF_PIN_NONE")} {
		if err := os.Rename(object, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// loadByBPFTool is how docs/concepts.md loads the program with bpftool.
func loadByBPFTool(t *testing.T) string {
	t.Helper()
	page, err := docs.Read(concepts)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(page.Blocks, func(b docs.Block) bool { return strings.HasPrefix(b.Text, "bpftool prog load ") })
	if i < 0 {
		t.Fatalf("%s doesn't show how bpftool loads a program", concepts)
	}
	return strings.TrimSuffix(page.Blocks[i].Text, "\n")
}

// TestGenerateDocumentation runs what the page on generating shows, word by word and in its order: the maps are made
// of the generated manifests alone, and bpftool loads the program with them.
func TestGenerateDocumentation(t *testing.T) {
	dir := generateMachine(t)
	script := "PATH=.:$PATH\n"
	for _, block := range docs.ShownBy(t, generateDocs).All() {
		script += block.Text
	}
	script += "echo == made\n" + pinned + loadByBPFTool(t) + "\necho == loaded\n" +
		`for id in $(bpftool -j prog show pinned /sys/fs/bpf/firewall | grep -o '"map_ids":\[[0-9,]*\]' | tr -c '0-9\n' ' '); do
	bpftool map show id $id | sed -n '1s/^\([0-9]*\):.* name \([^ ]*\) .*/\2 \1/p'
done
`
	out := onMachine(t, dir, script)
	if made, loaded := pairs(t, out, "made"), pairs(t, out, "loaded"); !sameIDs(made, loaded) {
		t.Errorf("the program has the maps %v, we made %v", loaded, made)
	}
	if n := strings.Count(out, "; it fits map "); n != mapsOfProgram {
		t.Errorf("%d maps fit the program:\n%s", n, out)
	}
	if !strings.Contains(out, "edge/blocklist: in sync\n") {
		t.Errorf("what was generated of the live map isn't in sync:\n%s", out)
	}
	generated, err := os.ReadFile(filepath.Join(dir, "firewall.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	golden.Section(t, "../../"+generateDocs, "generated", "```yaml\n"+string(generated)+"```\n")
}

// TestGenerateAgainstByHand says how much of the manifests by hand is in the program.
func TestGenerateAgainstByHand(t *testing.T) {
	dir := generateMachine(t)
	out := onMachine(t, dir, `PATH=.:$PATH
bpfmap generate firewall.bpf.o --namespace edge --pin-root bpfmap/edge > generated.yaml
bpfmap apply -f generated.yaml
`)
	if n := strings.Count(out, " created "); n != mapsOfProgram {
		t.Errorf("%d maps were made:\n%s", n, out)
	}
	byHand, err := filepath.Glob("testdata/maps/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	fits := mustRun(t, filepath.Join(dir, "bpfmap"), append([]string{"validate", "--object", filepath.Join(dir, "firewall.bpf.o")}, prefixed("-f", byHand)...)...)
	if n := strings.Count(fits, "; it fits map "); n != mapsOfProgram {
		t.Errorf("%d maps by hand fit the program:\n%s", n, fits)
	}
}

// prefixed puts a flag in front of each value.
func prefixed(flag string, values []string) (args []string) {
	for _, v := range values {
		args = append(args, flag, v)
	}
	return args
}
