// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package field_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/test/program"
	"github.com/bpfmap-io/bpfmap-operator/test/wire"
)

// bpfmapPath is the path of the bpfmap binary.
var bpfmapPath string

func TestMain(m *testing.M) { os.Exit(program.Main(m, &bpfmapPath)) }

// machine has a BPF file system, and no network unless a test gives it one.
type machine struct {
	testing.TB
	*wire.Wire
	bpffs, manifests string
}

func newMachine(t *testing.T) *machine {
	return &machine{TB: t, bpffs: bpftest.BPFFS(t), manifests: t.TempDir()}
}

// onWire is a machine that packets come to.
func onWire(t *testing.T, clients ...string) *machine {
	m := newMachine(t)
	m.Wire = wire.New(t, clients...)
	return m
}

// run runs a tool in the machine's network, with its BPF file system at /sys/fs/bpf.
func (m *machine) run(name string, args ...string) string {
	m.Helper()
	return m.Run(m, m.bpffs, name, args...)
}

// bpftool runs bpftool without the machine's network.
func (m *machine) bpftool(args ...string) {
	m.Helper()
	out, err := exec.Command("bpftool", args...).CombinedOutput()
	if err != nil {
		m.Fatalf("bpftool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// write makes text the manifest of that name.
func (m *machine) write(name, text string) (path string) {
	m.Helper()
	path = filepath.Join(m.manifests, name+".yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		m.Fatal(err)
	}
	return path
}

// try runs bpfmap with a manifest.
func (m *machine) try(command, manifest string, args ...string) (string, error) {
	m.Helper()
	path := m.write("manifest", manifest)
	out, err := exec.Command(bpfmapPath, append([]string{command, "--bpffs", m.bpffs, "-f", path}, args...)...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// bpfmap is try of what has to succeed.
func (m *machine) bpfmap(command, manifest string, args ...string) string {
	m.Helper()
	out, err := m.try(command, manifest, args...)
	if err != nil {
		m.Fatalf("bpfmap %s: %v\n%s\n%s", command, err, out, manifest)
	}
	return out
}

// valid holds a manifest to a program's object.
func (m *machine) valid(manifest, object string) string {
	m.Helper()
	out, err := exec.Command(bpfmapPath, "validate", "-f", m.write("manifest", manifest), "--object", object).CombinedOutput()
	if err != nil {
		m.Errorf("validate: %v\n%s", err, out)
	}
	return string(out)
}

// apply applies a manifest and wants to read what in the answer.
func (m *machine) apply(manifest, what string) {
	m.Helper()
	if out := m.bpfmap("apply", manifest); !strings.Contains(out, what) {
		m.Errorf("apply says %q, want %q", out, what)
	}
}

// element is one of a dump.
type element struct {
	Key    any
	Value  any
	Values []any
}

// dump reads the map of a manifest: by its keys as they are printed, the value of each CPU, or the one that all have
// together in a map that isn't per CPU.
func (m *machine) dump(manifest string) map[string][]any {
	m.Helper()
	out := m.bpfmap("dump", manifest, "-o", "json")
	var dumps []struct {
		Type     string
		Elements []element
	}
	decoder := json.NewDecoder(strings.NewReader(out))
	decoder.UseNumber()
	if err := decoder.Decode(&dumps); err != nil || len(dumps) != 1 {
		m.Fatalf("%v\n%s", err, out)
	}
	all := map[string][]any{}
	for _, e := range dumps[0].Elements {
		if e.Values == nil {
			e.Values = []any{e.Value}
			for strings.Contains(dumps[0].Type, "PerCPU") && len(e.Values) < m.cpus() {
				e.Values = append(e.Values, e.Value)
			}
		}
		all[fmt.Sprint(e.Key)] = e.Values
	}
	return all
}

// cpus is how many values an element of a per-CPU map has.
func (m *machine) cpus() int {
	m.Helper()
	n, err := bpf.PossibleCPUs()
	if err != nil {
		m.Fatal(err)
	}
	return n
}

// number is an integer of a dump.
func number(t testing.TB, value any) int64 {
	t.Helper()
	n, err := strconv.ParseInt(strings.Trim(fmt.Sprint(value), `"`), 10, 64)
	if err != nil {
		t.Fatalf("%v is not an integer: %v", value, err)
	}
	return n
}

// exists says whether something is at a path of the BPF file system.
func (m *machine) exists(path string) bool {
	_, err := os.Lstat(filepath.Join(m.bpffs, path))
	return err == nil
}
