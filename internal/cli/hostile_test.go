// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// hostile is text that somebody else chose: it clears the screen, sets the title and hides what follows.
const hostile = "\x1b[2J\x1b]0;t\x07\x1b[8m"

// mountBPFFS mounts a BPF file system of the test's own.
func mountBPFFS(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("bpf", dir, "bpf", 0, "mode=0755"); err != nil {
		t.Fatalf("mount a BPF file system (this test needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// harmless wants no command to a terminal in what was printed, and the text that stands for one in the output or the errors.
func harmless(t *testing.T, what string, o outcome, said string) {
	t.Helper()
	for _, text := range []string{o.out, o.errOut} {
		if strings.ContainsAny(text, "\x1b\x07\r\x7f\u009b\u202e") {
			t.Errorf("%s: commands reach the terminal: %q", what, text)
		}
	}
	if !strings.Contains(o.out+o.errOut, said) {
		t.Errorf("%s: want %s:\n%s%s", what, said, o.out, o.errOut)
	}
}

// TestHostileText: nothing that others call their pins, files and keys, or put into their maps, is a command to the terminal
// of who looks at it.
func TestHostileText(t *testing.T) {
	bpffs := mountBPFFS(t)
	manifest := filepath.Join(t.TempDir(), "m"+hostile+".yaml")
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	spec := `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: hosts}
spec:
  type: Hash
  key: {type: string, size: 32}
  value: {type: string, size: 32}
  maxEntries: 4
  entries: [{key: "\e[2Jk", value: "v\e[8m"}]
`
	if err := os.WriteFile(manifest, []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	const clears = `[2J`
	harmless(t, "diff", runArgs(t, "diff", "-f", manifest, "--bpffs", bpffs), clears)
	harmless(t, "apply", runArgs(t, "apply", "-f", manifest, "--bpffs", bpffs, "--plan"), clears)
	for _, output := range []string{"text", "hex", "yaml", "json"} {
		said := clears
		if output == "hex" {
			said = "1b 5b 32 4a"
		}
		harmless(t, "dump -o "+output, runArgs(t, "dump", "edge/hosts", "--bpffs", bpffs, "-o", output), said)
	}
	harmless(t, "lookup", runArgs(t, "map", "lookup", "edge/hosts", "--bpffs", bpffs, "--key", "str:\x1b[2Jk"), "[8m")
	other := write("other.yaml", strings.Replace(spec, `v\e[8m`, `w\e[8m`, 1))
	harmless(t, "diff of a change", runArgs(t, "diff", "-f", other, "--bpffs", bpffs, "--color", "never"), "[8m")
	harmless(t, "diff -o json", runArgs(t, "diff", "-f", other, "--bpffs", bpffs, "-o", "json"), "[8m")

	harmless(t, "a file's name", runArgs(t, "validate", "-f", filepath.Join(t.TempDir(), hostile)), clears)
	harmless(t, "a command", runArgs(t, "li"+hostile), clears)
	harmless(t, "a flag", runArgs(t, "list", "--"+hostile), clears)
	harmless(t, "a manifest", runArgs(t, "validate", "-f", write("bad.yaml", strings.Replace(spec, "type: Hash", `"t\e[2J": Hash`, 1))), clears)
	for _, output := range []string{"table", "json", "yaml", "github", "sarif", "junit"} {
		bad := strings.Replace(spec, "maxEntries: 4", `maxEntries: 4, flags: ["\e[2J"]`, 1)
		bad = strings.Replace(bad, "maxEntries: 4, ", "maxEntries: 4\n  ", 1)
		harmless(t, "validate -o "+output, runArgs(t, "validate", "-f", write("bad.yaml", bad), "-o", output), "[2J")
	}

	pinHostile(t, bpffs)
	harmless(t, "list -o wide", runArgs(t, "list", "--bpffs", bpffs, "-o", "wide"), clears)
	harmless(t, "top", runArgs(t, "top", "--bpffs", bpffs, "--once", "-i", "100ms", "-o", "wide"), clears)
	listed := runArgs(t, "list", "--bpffs", bpffs, "-o", "json")
	harmless(t, "list -o json", listed, clears)
	var all struct{ Maps []struct{ Pins []string } }
	if err := json.Unmarshal([]byte(listed.out), &all); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, m := range all.Maps {
		for _, pin := range m.Pins {
			found = found || pin == filepath.Join(bpffs, "p"+hostile)
		}
	}
	if !found {
		t.Error("the JSON has another name for the pin")
	}
	harmless(t, "dump of foreign types", runArgs(t, "dump", "--bpffs", bpffs, "--pin", filepath.Join(bpffs, "p"+hostile)), "Found")
}

// pinHostile pins a map whose pin and types are called as nobody should call them.
func pinHostile(t *testing.T, bpffs string) {
	t.Helper()
	char := &btf.Int{Name: "char", Size: 1, Encoding: btf.Char}
	value := &btf.Struct{Name: "v", Size: 8, Members: []btf.Member{{Name: "text", Type: &btf.Array{Index: &btf.Int{Name: "u32", Size: 4}, Type: char, Nelems: 8}}}}
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "hostile", Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 2,
		Key: &btf.Int{Name: "u32", Size: 4}, Value: value})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	if err := m.Put(uint32(1), [8]byte([]byte("\x1b[2J\x1b[8m"))); err != nil {
		t.Fatal(err)
	}
	if err := m.Pin(filepath.Join(bpffs, "p"+hostile)); err != nil {
		t.Fatal(err)
	}
}
