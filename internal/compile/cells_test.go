// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile_test

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
)

// services is a map whose entries come from one source.
const services = `
metadata: {namespace: edge, name: services, uid: u}
spec:
  type: Hash
  key: {fields: [{name: addr, type: ip}, {name: port, type: be16}, {name: proto, type: u16, enum: {tcp: 6, udp: 17}}]}
  value:
    fields:
    - {name: name, type: dnsName, size: 12}
    - {name: flags, type: u8, flags: {local: 1, dsr: 2}, default: []}
    - {name: ttl, type: u32, duration: ms, default: 30s}
    - {name: to, union: true, fields: [{name: v4, type: ipv4}, {name: dev, fields: [{name: index, type: u16}, {name: vlan, type: u16}]}]}
    - {name: weights, type: u8, length: 3, default: 1}
  maxEntries: 8
  entriesFrom: [{configMapRef: {name: feed, key: x}, format: FORMAT}]
`

// compiled are the entries of services from a text, or the problems.
func compiled(t *testing.T, format, text string) string {
	t.Helper()
	m := &v1alpha1.BPFMap{}
	if err := yaml.UnmarshalStrict([]byte(strings.Replace(services, "FORMAT", format, 1)), m); err != nil {
		t.Fatal(err)
	}
	rev, err := compile.With(m, []compile.Source{{Name: "feed", Load: func() ([]byte, error) { return []byte(text), nil }}}, nil)
	if err != nil {
		return err.Error()
	}
	key, value := layouts(t, rev.KeySchema, &rev.ValueSchema)
	var got []string
	for i := range rev.Contents.InOrder(rev.Shape) {
		got = append(got, key.Format(rev.Contents.Key(i))+" "+value.Format(rev.Contents.Value(i)))
	}
	return strings.Join(got, "\n")
}

// TestSourcesSayAllThatEntriesDo has the same two entries in each format.
func TestSourcesSayAllThatEntriesDo(t *testing.T) {
	const want = "{addr: 192.0.2.1, port: 443, proto: tcp} {name: a.example, flags: dsr, ttl: 1m30s, to: {v4: 10.0.0.1}, weights: [1, 1, 1]}\n" +
		"{addr: 2001:db8::1, port: 10, proto: 1} {name: b.example, flags: local|dsr|0x40, ttl: 30s, to: {v4: 7.7.9.9}, weights: [5, 6, 1]}" // the first member that has these bytes, 0707 and 0909 in either byte order
	for format, text := range map[string]string{
		"CSV": `key.addr,key.port,key.proto,value.name,value.flags,value.ttl,value.to.v4,value.to.dev.index,value.to.dev.vlan,value.weights
192.0.2.1,443,tcp,A.example,dsr,90s,10.0.0.1,,,
2001:db8::1,010,1,b.example.,local|dsr|0x40,,,1799,2313,"[5,6]"
`,
		"JSON": `[{"key": {"addr": "192.0.2.1", "port": 443, "proto": "tcp"}, "value": {"name": "A.example", "flags": ["dsr"], "ttl": "90s", "to": {"v4": "10.0.0.1"}}},
{"key": {"addr": "2001:db8::1", "port": "010", "proto": 1}, "value": {"name": "b.example.", "flags": ["local", "dsr", 64], "to": {"dev": {"index": 1799, "vlan": 2313}}, "weights": [5, 6]}}]`,
		"YAML": `
- key: {addr: 192.0.2.1, port: 443, proto: tcp}
  value: {name: A.example, flags: dsr, ttl: 1m30s, to: {v4: 10.0.0.1}, weights: [1]}
- key: {addr: "2001:db8::1", port: 10, proto: 1}
  value: {name: b.example., flags: [local, dsr, 0x40], to: {dev: {index: 1799, vlan: 2313}}, weights: [5, 6]}
`,
	} {
		if got := compiled(t, format, text); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", format, got, want)
		}
	}
}

func TestCellsThatAreWrong(t *testing.T) {
	const header = "key.addr,key.port,key.proto,value.name,value.to.v4,value.to.dev.index\n"
	for row, want := range map[string]string{
		"192.0.2.1,,tcp,a,10.0.0.1,":      "line 2 key.port: is missing: the cell is empty, and the field has no default",
		",,,a,10.0.0.1,":                  "line 2 key: is missing",
		"192.0.2.1,1,tcp,a,10.0.0.1,7":    "line 2 value.to: gives both v4 and dev: a value of a union has exactly one member",
		"192.0.2.1,1,tcp,a,,":             "line 2 value.to: is missing: the cell is empty, and the field has no default",
		"192.0.2.1,1,tpc,a,10.0.0.1,":     `line 2 key.proto: "tpc" is not a name of the enum (did you mean tcp?): must be one of tcp, udp, or a number`,
		"192.0.2.1,65536,tcp,a,10.0.0.1,": "line 2 key.port: 65536 is out of range for be16 (0…65535)",
	} {
		if got := compiled(t, "CSV", header+row+"\n"); !strings.HasSuffix(got, want) {
			t.Errorf("%s: %s\nwant %s", row, got, want)
		}
	}
	got := compiled(t, "YAML", "- key: {addr: 192.0.2.1, port: 010, proto: tcp}\n  value: {}\n")
	if !strings.HasSuffix(got, "line 1, column 32: 010 is 8 where YAML 1.1 is read, as by kubectl, and 10 in quotes: write 8 or 10, or quote a text") {
		t.Error(got)
	}
}
