// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"strings"
	"testing"
)

// values is a map with a value of every kind of type, and bytes that no value has.
const values = `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: values}
spec:
  type: Hash
  maxEntries: 8
  key: {fields: [{name: dev, type: ifindex}, {name: group, type: cgroupID}]}
  value:
    fields:
    - {name: big, type: u128}
    - {name: small, type: i128, default: "-1"}
    - {name: f, type: f32}
    - {name: d, type: f64}
    - {name: host, type: ipv4Host}
    - {name: mapped, type: ip}
    - {name: first, type: ip, ipv4As: First}
    - {name: last, type: ip, ipv4As: Last}
    - {name: prefix, type: ipPrefix}
    - {name: six, type: ipv6}
    - {name: verdict, type: u8, enum: {drop: 0, pass: 1, redirect: 4}}
    - {name: tcp, type: be16, flags: {fin: 1, syn: 2, ack: 16, synack: 18}}
    - {name: mode, type: u32, bits: 3, enum: {fast: 1, slow: 7}}
    - {name: level, type: i32, bits: 5}
    - {name: ttl, type: u32, duration: ms}
    - {name: until, type: u64, time: ns}
    - {name: path, type: countedString, size: 20, lengthType: u32}
    - {name: domain, type: dnsName, size: 32}
    - {name: flag, type: bool}
    - {name: text, type: string, size: 8}
  entries:
  - key: {dev: 0, group: "18446744073709551615"}
    value: {big: "340282366920938463463374607431768211455", f: 0.1, d: "-0", host: 192.0.2.1, mapped: 192.0.2.1, first: 192.0.2.1, last: 192.0.2.1,
      prefix: 10.0.0.0/8, six: "::ffff:192.0.2.1", verdict: pass, tcp: [syn, ack, 64], mode: slow, level: -3, ttl: 1m30s,
      until: 2030-01-01T00:00:00Z, path: /usr/bin/wget, domain: "*.Bücher.example", flag: true, text: edge}
  - key: {dev: lo, group: 7}
    value: {big: 1, small: 5, f: "NaN", d: "-inf", host: 10.0.0.1, mapped: "::ffff:10.0.0.1", first: "2001:db8::1", last: "::1",
      prefix: "2001:db8::/32", six: "2001:db8::1", verdict: 9, tcp: syn|ack, mode: 2, level: 15, ttl: 250,
      until: 0, path: "", domain: ".", flag: {$hex: "07"}, text: {$hex: "6100620000000000"}}
`

// valuesDump is what is printed of it.
const valuesDump = `entries:
- {"key": {"dev":0,"group":"18446744073709551615"}, "value": {"big":"340282366920938463463374607431768211455","small":-1,"f":0.1,"d":"-0","host":"192.0.2.1","mapped":"192.0.2.1","first":"192.0.2.1","last":"192.0.2.1","prefix":"10.0.0.0/8","six":"::ffff:192.0.2.1","verdict":"pass","tcp":["synack",64],"mode":"slow","level":-3,"ttl":"1m30s","until":"2030-01-01T00:00:00Z","path":"/usr/bin/wget","domain":"*.xn--bcher-kva.example","flag":true,"text":"edge"}}
- {"key": {"dev":"lo","group":7}, "value": {"big":1,"small":5,"f":"NaN","d":"-inf","host":"10.0.0.1","mapped":"10.0.0.1","first":"2001:db8::1","last":"::1","prefix":"2001:db8::/32","six":"2001:db8::1","verdict":9,"tcp":["synack"],"mode":2,"level":15,"ttl":"250ms","until":0,"path":"","domain":".","flag":{"$hex":"07"},"text":{"$hex":"6100620000000000"}}}
`

// TestValues puts all kinds of values into the kernel, looks at the bytes, and applies the dump again.
func TestValues(t *testing.T) {
	bpffs := mountBPFFS(t)
	file := write(t, "values.yaml", values)
	at := []string{"-f", file, "--bpffs", bpffs}
	ok(t, append([]string{"apply"}, at...)...)
	bytes := strings.ReplaceAll(ok(t, append([]string{"dump", "-o", "hex", "--sort"}, at...)...), " ", "")
	for name, want := range map[string]string{
		"an address in each place":         "00000000000000000000ffffc0000201" + "c0000201000000000000000000000000" + "000000000000000000000000c0000201" + "68000000" + "00000000000000000000ffff0a000000",
		"enum, padding, flags, bit-fields": "01" + "00" + "0052" + "ef000000",
		"a counted string":                 "0d0000002f7573722f62696e2f7767657400000000000000",
		"a name":                           "012a0d786e2d2d62636865722d6b7661076578616d706c6500",
	} {
		if !strings.Contains(bytes, want) {
			t.Errorf("%s: no %s in\n%s", name, want, bytes)
		}
	}
	equal(t, ok(t, append([]string{"dump", "-o", "yaml", "--sort"}, at...)...), valuesDump)
	again := write(t, "again.yaml", strings.Split(values, "  entries:")[0]+indented(valuesDump))
	if got := ok(t, "apply", "-f", again, "--bpffs", bpffs); !strings.Contains(got, " unchanged ") {
		t.Errorf("applied again: %s", got)
	}
	pin := []string{"--pin", bpffs + "/bpfmap/edge/values", "-f", file, "--key", `{dev: 1, group: 7}`}
	ok(t, append(append([]string{"map", "update"}, pin...), "--value", `{big: 1, f: inf, d: 1, host: 1.2.3.4, mapped: 1.2.3.4, first: "::", last: "::1", prefix: 0.0.0.0/0,
		six: "::1", verdict: redirect, tcp: syn|0x40, mode: fast, level: -16, ttl: 2h, until: 0, path: a, domain: a.b, flag: false, text: x}`)...)
	if got := ok(t, append([]string{"map", "lookup"}, pin...)...); !strings.Contains(got, "small: -1, f: inf") || !strings.Contains(got, "tcp: syn|0x40, mode: fast, level: -16, ttl: 2h") {
		t.Errorf("after an update: %s", got)
	}
}
