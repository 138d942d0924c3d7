// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/test/clang"
)

const firewallProgram = `#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct port { __u16 first, last; };
struct rule { __u8 action; struct port ports[2]; __u32 number; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, __u32); __type(value, struct rule); __uint(max_entries, 8);
	__uint(pinning, LIBBPF_PIN_BY_NAME); } rule_of SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(key_size, 4); __uint(value_size, 4); __uint(max_entries, 8); } untyped SEC(".maps");
`

const firewallManifests = `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: rules}
spec:
  type: Hash
  key: {type: u32}
  value:
    fields:
    - {name: action, type: u8}
    - name: ports
      length: 2
      fields:
      - {name: first, type: u16}
      - {name: last, type: u16}
    - {name: number, type: u32}
  maxEntries: 8
  pin: {path: bpfmap/edge/rule_of}
---
apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: plain}
spec:
  type: Hash
  key: {type: ipv4}
  value: {type: u32}
  maxEntries: 8
`

// kernelMemory is what depends on the machine.
var kernelMemory = regexp.MustCompile(` \([^)]*kernel memory[^)]*\)`)

func TestValidateObject(t *testing.T) {
	object := clang.BPFText(t, "firewall", firewallProgram)
	file := write(t, "maps.yaml", firewallManifests)
	out := ok(t, "validate", "-f", file, "--object", object, "--map", "plain=untyped")
	equal(t, kernelMemory.ReplaceAllString(out, ""), `bpfmap.bpfmap.io/edge/rules is valid; it fits map rule_of of firewall.bpf.o
bpfmap.bpfmap.io/edge/plain is valid; it has type and sizes of map untyped of firewall.bpf.o, whose types of keys or values aren't in the object
`)
}

// TestValidateObjectMisfit says which member differs, where it is on both sides, and where the manifest says so.
func TestValidateObjectMisfit(t *testing.T) {
	object := clang.BPFText(t, "firewall", firewallProgram)
	one, _, _ := strings.Cut(firewallManifests, "---\n")
	for name, c := range map[string]struct{ from, to, want string }{
		"a type":                     {"type: Hash", "type: LRUHash", `maps.yaml:5: edge/rules: spec.type: LRUHash is declared, map rule_of of firewall.bpf.o has Hash`},
		"a capacity":                 {"maxEntries: 8", "maxEntries: 9", `maps.yaml:16: edge/rules: spec.maxEntries: 9 is declared, map rule_of of firewall.bpf.o has 8`},
		"a flag":                     {"  maxEntries: 8", "  flags: [NoPrealloc]\n  maxEntries: 8", `maps.yaml:16: edge/rules: spec.flags: NoPrealloc is declared, map rule_of of firewall.bpf.o has none`},
		"a size":                     {"key: {type: u32}", "key: {type: u64}", `maps.yaml:6: edge/rules: spec.key: size 8 is declared, map rule_of of firewall.bpf.o has 4`},
		"a pin":                      {"rule_of", "rule-of", `maps.yaml:17: edge/rules: spec.pin.path: bpfmap/edge/rule-of: the loader of map rule_of of firewall.bpf.o looks for a pin called rule_of`},
		"a member of a nested array": {"{name: last, type: u16}", "{name: last, type: u8}\n      - {name: more, type: u8}", "ports"},
		"an order":                   {"    - {name: action, type: u8}\n", "", "spec.value"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(one, c.from, c.to, 1)
			if text == one {
				t.Fatal("nothing is replaced")
			}
			errOut := fails(t, "validate", "-f", write(t, "maps.yaml", text), "--object", object, "--map", "rules=rule_of")
			if !strings.Contains(errOut, c.want) {
				t.Errorf("no %q in\n%s", c.want, errOut)
			}
		})
	}
}

func TestValidateObjectRefuses(t *testing.T) {
	object := clang.BPFText(t, "firewall", firewallProgram)
	file := write(t, "maps.yaml", firewallManifests)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--map", "plain=untyped"}, "Error: --map says which map of a program a BPFMap is: --object is needed\n"},
		{[]string{"--object", object, "--map", "untyped"}, "Error: --map untyped: must be NAME=MAP, the name of a BPFMap and that of a map of the program\n"},
		{[]string{"--object", object, "--map", "x=untyped"}, "Error: --map x=untyped: no valid BPFMap of that name is in the manifests\n"},
		{[]string{"--object", file}, "Error: " + file + ": not an ELF file: a BPF object is what clang -target bpf -c writes\n"},
	} {
		equal(t, fails(t, append([]string{"validate", "-f", file}, c.args...)...), c.want)
	}
	r := run(t, "validate", "-f", file, "--object", object)
	equal(t, strings.ReplaceAll(r.errOut, filepath.Dir(file)+"/", ""),
		"Error: maps.yaml:19 (document 2): edge/plain: no map of the program is called plain (there are rule_of, untyped): say which one it is with --map plain=MAP\n")
	if r.code != 1 || !strings.Contains(r.out, "edge/rules is valid") {
		t.Errorf("validate prints\n%s", r)
	}
}

// TestValidateMapType lists what types there are.
func TestValidateMapType(t *testing.T) {
	for typ, want := range map[string]string{
		"Hahs":              `unknown map type "Hahs" (did you mean Hash?), must be one of Hash, LRUHash, `,
		"lru_hash":          `unknown map type "lru_hash" (did you mean LRUHash?)`,
		"BPF_MAP_TYPE_HASH": `unknown map type "BPF_MAP_TYPE_HASH" (did you mean Hash?)`,
		"StructOps":         "StructOps is not offered: it holds the functions",
	} {
		errOut := fails(t, "validate", "-f", write(t, "map.yaml", strings.Replace(minimalManifest("a", 1), "type: Hash", "type: "+typ, 1)))
		if !strings.Contains(errOut, "spec.type: "+want) {
			t.Errorf("%s: no %q in\n%s", typ, want, errOut)
		}
	}
}
