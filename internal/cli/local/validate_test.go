// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/test/golden"
)

// TestValidateBad runs over one folder of everything that people get wrong: each problem is named with
// its line, entry, field, value and bound.
func TestValidateBad(t *testing.T) {
	golden.Equal(t, "testdata/bad.txt", run(t, "validate", "-f", "testdata/bad").String())
}

func TestValidateSamples(t *testing.T) {
	r := run(t, "validate", "-f", filepath.Join("..", "..", "..", "config", "samples"))
	if r.code != 0 || strings.Contains(r.errOut, "Error") || !strings.Contains(r.out, "bpfmap.bpfmap.io/edge/blocklist is valid (LPMTrie, ") {
		t.Errorf("the samples must be valid:\n%s", r)
	}
}

// TestValidateCapacity says what maxEntries counts, which isn't always entries.
func TestValidateCapacity(t *testing.T) {
	types := filepath.Join("..", "..", "..", "config", "samples", "types")
	for file, want := range map[string]string{
		"ringbuf-events.yaml":         "(RingBuf, 262144 bytes, ",
		"arena-shared-memory.yaml":    " pages, ",
		"skstorage-flow-state.yaml":   "(SKStorage, as many entries as are made, ",
		"cpumap-redirect-cpus.yaml":   " entries, ",
		"perfeventarray-samples.yaml": " entries, ",
	} {
		if r := run(t, "validate", "-f", filepath.Join(types, file)); r.code != 0 || !strings.Contains(r.out, want) {
			t.Errorf("%s: want %q:\n%s", file, want, r)
		}
	}
}

func TestValidateOneBadAmongTenThousand(t *testing.T) {
	const count, bad = 10_000, 7_654
	var b strings.Builder
	b.WriteString(minimalManifest("many", count) + "  entries:\n")
	for i := range count {
		value := i % 256
		if i == bad {
			value = 256
		}
		fmt.Fprintf(&b, "  - {key: %d, value: %d}\n", i, value)
	}
	r := runWith(t, b.String(), "validate", "-f", "-")
	equal(t, r.String(), result{code: 1, errOut: "Error: standard input:7664: default/many: spec.entries[7654].value: " +
		"256 is out of range for u8 (0…255)\n"}.String())
}

func TestValidateCountsProblems(t *testing.T) {
	text := minimalManifest("many", 100) + "  entries:\n" + strings.Repeat("  - {key: x, value: 1}\n", 25)
	r := runWith(t, text, "validate", "-f", "-")
	if n := strings.Count(r.errOut, "Error: "); n != 11 || !strings.HasSuffix(r.errOut, "Error: standard input:1: default/many: and 15 more problems\n") {
		t.Errorf("want ten problems and how many more there are:\n%s", r)
	}
}

func TestValidateNamespaces(t *testing.T) {
	text := minimalManifest("a", 1)
	equal(t, runWith(t, text, "validate", "-f", "-", "-n", "edge", "--cpus", "4").out,
		"bpfmap.bpfmap.io/edge/a is valid (Hash, 0 of 1 entries, about 3Ki of kernel memory on a node with 4 CPUs)\n")
	other := strings.Replace(text, "name: a", "name: a, namespace: core", 1)
	equal(t, runWith(t, other, "validate", "-f", "-", "-n", "edge").errOut,
		"Error: standard input:3: core/a: metadata.namespace: is core, and --namespace says edge\n")
}

func TestNothingToRead(t *testing.T) {
	equal(t, fails(t, "validate"), "Error: nothing to read: -f FILE is needed\n")
	equal(t, fails(t, "validate", "-f", write(t, "empty.yaml", "# nothing\n")), "Error: no BPFMap found\n")
	equal(t, fails(t, "validate", "-f", "/nowhere/at/all"), "Error: /nowhere/at/all: no such file or directory\n")
}
