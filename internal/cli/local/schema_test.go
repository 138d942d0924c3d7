// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpfmap-io/bpfmap-operator/internal/cdecl"
	"github.com/bpfmap-io/bpfmap-operator/test/clang"
)

// generatedComments are lines that tell where a manifest is from.
var generatedComments = regexp.MustCompile(`(?m)^#.*\n`)

// TestSchemaRoundTrip makes C of manifests that were made of C, compiles it, and makes manifests of it again.
func TestSchemaRoundTrip(t *testing.T) {
	var maps strings.Builder
	for _, doc := range strings.Split(ok(t, "generate", clang.BPF(t, "../../bpfobject/testdata/maps.bpf.c"), "-n", "edge"), "---\n") {
		// The macros can't define these: variables, types without C, and inner maps typed by BTF.
		if strings.Contains(doc, "global variables") || strings.Contains(doc, "enum:") || strings.Contains(doc, "  inner:") {
			continue
		}
		maps.WriteString(doc + "---\n")
	}
	want := write(t, "maps.yaml", maps.String())
	header := ok(t, "schema", "-f", want)
	object := compiled(t, "again", header)
	again := ok(t, "generate", object, "-n", "edge", "--pin-root", "bpfmap/edge")
	pins := regexp.MustCompile(`(?m)^  pin: .*\n`)
	plain := func(text string) string {
		text = pins.ReplaceAllString(generatedComments.ReplaceAllString(text, ""), "")
		return strings.TrimSuffix(strings.TrimSpace(text), "\n---")
	}
	equal(t, plain(again), plain(maps.String()))
}

// compiled is the object of a program that is nothing but a header.
func compiled(t *testing.T, name, header string) string {
	t.Helper()
	return clang.BPFText(t, name, "#include \""+write(t, name+".h", header)+"\"\n")
}

const schemaOfRules = `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: rule-weights}
spec:
  type: HashOfMaps
  key: {type: be32}
  inner:
    type: Hash
    key: {type: mac}
    value: {fields: [{name: active, type: bool}, {name: weight, type: u64}]}
    maxEntries: 4
  maxEntries: 8
  pin: {path: bpfmap/edge/rule_weights}
`

func TestSchema(t *testing.T) {
	file := write(t, "rules.yaml", schemaOfRules)
	equal(t, ok(t, "schema", "-f", file, "-o", "table"), `# edge/rule-weights key, 4 bytes
OFFSET  SIZE  TYPE  NAME
0       4     be32  -
# edge/rule-weights value, 4 bytes
OFFSET  SIZE  TYPE    NAME
0       4     mapRef  -
# edge/rule-weights inner key, 6 bytes
OFFSET  SIZE  TYPE  NAME
0       6     mac   -
# edge/rule-weights inner value, 16 bytes
OFFSET  SIZE  TYPE    NAME
0       16    struct  -
0       1     bool    active
8       8     u64     weight
`)
	header := ok(t, "schema", "-f", file)
	compiled(t, "rules", header)
	if _, definition, _ := strings.Cut(header, "#ifdef __bpf__\nstruct rule"); definition != `_weights_inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, rule_weights_inner_key);
	__uint(value_size, sizeof(struct rule_weights_inner_value));
	__uint(max_entries, 4);
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__type(key, rule_weights_key);
	__uint(max_entries, 8);
	__uint(pinning, LIBBPF_PIN_BY_NAME); /* with pin_root_path /sys/fs/bpf/bpfmap/edge */
	__array(values, struct rule_weights_inner);
} rule_weights SEC(".maps");
#endif
` {
		t.Errorf("the header is\n%s", header)
	}
	golang := filepath.Join(t.TempDir(), "maps.go")
	if err := os.WriteFile(golang, []byte(ok(t, "schema", "-f", file, "-o", "go")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "vet", golang).CombinedOutput(); err != nil {
		t.Errorf("go vet: %v\n%s", err, out)
	}
}

// TestSchemaDocument has the same places as the table, as numbers.
func TestSchemaDocument(t *testing.T) {
	bits := write(t, "bits.yaml", `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: bits}
spec:
  type: LPMTrie
  key: {type: ipv4Prefix}
  value: {fields: [{name: mode, type: u32, bits: 3}, {name: level, type: u32, bits: 7}, {name: of, length: 2, fields: [{name: port, type: u16}]}]}
  maxEntries: 8
`)
	var all struct{ Maps []mapSchema }
	sameDocuments(t, &all, 0, "schema", "-f", bits, "-f", write(t, "rules.yaml", schemaOfRules))
	zero, three := 0, 3
	want := []mapSchema{{
		BPFMap: "edge/bits", Name: "bits", Type: "LPMTrie",
		Key: &typePlaces{8, []cdecl.Row{{Type: "struct", Size: 8}, {Name: "prefixlen", Type: "u32", Size: 4}, {Name: "data", Type: "ipv4", Offset: 4, Size: 4}}},
		Value: &typePlaces{8, []cdecl.Row{
			{Type: "struct", Size: 8}, {Name: "mode", Type: "u32", Bit: &zero, Bits: 3}, {Name: "level", Type: "u32", Bit: &three, Bits: 7},
			{Name: "of", Type: "struct[2]", Offset: 2, Size: 4}, {Name: "of[0].port", Type: "u16", Offset: 2, Size: 2},
		}},
	}, {
		BPFMap: "edge/rule-weights", Name: "rule_weights", Type: "HashOfMaps",
		Key:   &typePlaces{4, []cdecl.Row{{Type: "be32", Size: 4}}},
		Value: &typePlaces{4, []cdecl.Row{{Type: "mapRef", Size: 4}}},
		Inner: &innerSchema{
			Type: "Hash", Key: &typePlaces{6, []cdecl.Row{{Type: "mac", Size: 6}}},
			Value: &typePlaces{16, []cdecl.Row{{Type: "struct", Size: 16}, {Name: "active", Type: "bool", Size: 1}, {Name: "weight", Type: "u64", Offset: 8, Size: 8}}},
		},
	}}
	if diff := cmp.Diff(want, all.Maps); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestSchemaRefuses(t *testing.T) {
	ring := write(t, "ring.yaml", "apiVersion: bpfmap.io/v1alpha1\nkind: BPFMap\nmetadata: {name: ring}\nspec: {type: RingBuf, maxEntries: 4096}\n")
	equal(t, fails(t, "schema", "-f", ring, "-o", "go"), "Error: none of the maps has keys or values to declare\n")
	equal(t, fails(t, "schema", "-f", ring, "-o", "go", "--package", "a-b"), "Error: --package a-b: is not a name of a Go package\n")
	twice := write(t, "twice.yaml", minimalManifest("a-b", 1)+"---\n"+strings.Replace(minimalManifest("a.b", 1), "  type: Hash", "  pin: {path: a_b}\n  type: Hash", 1))
	equal(t, fails(t, "schema", "-f", twice), "Error: BPFMaps default/a-b and default/a.b are both called a_b in C: print them one by one\n")
}
