// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"strings"
	"testing"
)

// trie is the manifest of a trie, and what the kernel makes of it.
type trie struct {
	name, spec string
	// keys are the keys as `dump -o hex --sort` prints them, without blanks: what a C program has in memory on a
	// little-endian machine.
	keys []string
	// found are full keys, each with the value that a lookup finds; missing are those that find nothing.
	found   map[string]string
	missing []string
	// dump is what `dump -o yaml --sort` prints.
	dump string
}

// tries are the keys of real programs.
var tries = []trie{
	{
		name: "ingress-node-firewall", // struct lpm_ip_key_st: prefixLen, ingress_ifindex, ip_data
		spec: `key: {fields: [{name: ifindex, type: ifindex}, {name: cidr, type: ipv4Prefix}]}
  entries:
  - {key: {ifindex: lo, cidr: 172.16.0.0/24}, value: 1}
  - {key: {ifindex: lo, cidr: 172.16.0.0/12}, value: 2}
  - {key: {ifindex: lo, cidr: 192.0.2.1-192.0.2.2}, value: 3}`,
		keys: []string{"2c00000001000000ac100000", "3800000001000000ac100000", "4000000001000000c0000201", "4000000001000000c0000202"},
		found: map[string]string{
			"{ifindex: 1, cidr: 172.16.0.9/32}": "1", "{ifindex: 1, cidr: 172.16.1.9/32}": "2", "{ifindex: 1, cidr: 192.0.2.2/32}": "3",
		},
		missing: []string{"{ifindex: 2, cidr: 172.16.0.9/32}", "{ifindex: 1, cidr: 192.0.2.3/32}"},
		dump: `entries:
- {"key": {"ifindex":"lo","cidr":"172.16.0.0/12"}, "value": 2}
- {"key": {"ifindex":"lo","cidr":"172.16.0.0/24"}, "value": 1}
- {"key": {"ifindex":"lo","cidr":"192.0.2.1/32"}, "value": 3}
- {"key": {"ifindex":"lo","cidr":"192.0.2.2/32"}, "value": 3}
`,
	},
	{
		name: "ports", // a range of ports: the fewest prefixes
		spec: `key: {packed: true, fields: [{name: proto, type: u8}, {name: port, type: be16, prefix: true}]}
  entries:
  - {key: {proto: 6, port: 8000-8999}, value: 1}
  - {key: {proto: 6, port: 8080}, value: 2}
  - {key: {proto: 17, port: 0-65535}, value: 3}`,
		keys: []string{
			"12000000061f40", "11000000061f80", "18000000061f90", "0f000000062000", "10000000062200", "13000000062300", "15000000062320", "08000000110000",
		},
		found: map[string]string{
			"{proto: 6, port: 8000}": "1", "{proto: 6, port: 8080}": "2", "{proto: 6, port: 8999}": "1", "{proto: 17, port: 53}": "3",
		},
		missing: []string{"{proto: 6, port: 7999}", "{proto: 6, port: 9000}", "{proto: 1, port: 8080}"},
		dump: `entries:
- {"key": {"proto":6,"port":"8000-8063"}, "value": 1}
- {"key": {"proto":6,"port":"8064-8191"}, "value": 1}
- {"key": {"proto":6,"port":8080}, "value": 2}
- {"key": {"proto":6,"port":"8192-8703"}, "value": 1}
- {"key": {"proto":6,"port":"8704-8959"}, "value": 1}
- {"key": {"proto":6,"port":"8960-8991"}, "value": 1}
- {"key": {"proto":6,"port":"8992-8999"}, "value": 1}
- {"key": {"proto":17,"port":"0-65535"}, "value": 3}
`,
	},
	{
		name: "tetragon", // struct string_prefix_lpm_trie
		spec: `key: {type: string, size: 16, prefix: true}
  entries:
  - {key: /etc/, value: 1}
  - {key: /etc/passwd, value: 2}`,
		keys:    []string{"280000002f6574632f0000000000000000000000", "580000002f6574632f7061737377640000000000"},
		found:   map[string]string{"/etc/hosts": "1", "/etc/passwd": "2", "/etc/passwd-": "2"},
		missing: []string{"/usr/bin/curl", "/etc"},
		dump:    "entries:\n- {\"key\": \"/etc/\", \"value\": 1}\n- {\"key\": \"/etc/passwd\", \"value\": 2}\n",
	},
	{
		name: "dae", // ::ffff:a.b.c.d holds IPv4, and its prefix lengths are larger by 96
		spec: `key: {type: ip, prefix: true}
  entries:
  - {key: 10.0.0.0/8, value: 1}
  - {key: "2001:db8:1::/48", value: 2}`,
		keys:    []string{"6800000000000000000000000000ffff0a000000", "3000000020010db8000100000000000000000000"},
		found:   map[string]string{"10.1.2.3/32": "1", "::ffff:10.1.2.3/128": "1", "2001:db8:1::7/128": "2"},
		missing: []string{"192.0.2.1/32", "2001:db8:2::1/128"},
		dump:    "entries:\n- {\"key\": \"10.0.0.0/8\", \"value\": 1}\n- {\"key\": \"2001:db8:1::/48\", \"value\": 2}\n",
	},
	{
		name: "cpumap", // IPv4 in the last four of 16 bytes
		spec: `key: {type: ipPrefix, ipv4As: Last}
  entries: [{key: 100.64.1.0/24, value: 1}]`,
		keys:    []string{"7800000000000000000000000000000064400100"},
		found:   map[string]string{"100.64.1.9/32": "1"},
		missing: []string{"100.64.2.9/32"},
		dump:    "entries:\n- {\"key\": \"100.64.1.0/24\", \"value\": 1}\n",
	},
	{
		name: "any-interface", // a number stands for an interface that a program means by it
		spec: `key: {fields: [{name: ifindex, type: ifindex}, {name: addr, type: ipv6Prefix}]}
  entries:
  - {key: {ifindex: 0, addr: "2001:db8::/32"}, value: 1}
  - {key: {ifindex: lo, addr: "::/0"}, value: 2}`,
		keys:    []string{"400000000000000020010db8000000000000000000000000", "200000000100000000000000000000000000000000000000"},
		found:   map[string]string{"{ifindex: 0, addr: '2001:db8::1/128'}": "1", "{ifindex: 1, addr: '::1/128'}": "2"},
		missing: []string{"{ifindex: 0, addr: '::1/128'}"},
		dump:    "entries:\n- {\"key\": {\"ifindex\":0,\"addr\":\"2001:db8::/32\"}, \"value\": 1}\n- {\"key\": {\"ifindex\":\"lo\",\"addr\":\"::/0\"}, \"value\": 2}\n",
	},
	{
		name: "set-and-source", // sets by number: a field of 8 bytes leaves 4 bytes of padding behind the prefix length, which count
		spec: `key: {fields: [{name: set, type: be64}, {name: addr, type: ipv4, prefix: true}]}
  entries:
  - {key: {set: 7, addr: 10.0.0.0/8}, value: 1}
  - {key: {set: 8, addr: 0.0.0.0/0}, value: 2}`,
		keys:    []string{"680000000000000000000000000000070a00000000000000", "600000000000000000000000000000080000000000000000"},
		found:   map[string]string{"{set: 7, addr: 10.9.9.9/32}": "1", "{set: 8, addr: 192.0.2.1/32}": "2"},
		missing: []string{"{set: 7, addr: 192.0.2.1/32}"},
		dump:    "entries:\n- {\"key\": {\"set\":7,\"addr\":\"10.0.0.0/8\"}, \"value\": 1}\n- {\"key\": {\"set\":8,\"addr\":\"0.0.0.0/0\"}, \"value\": 2}\n",
	},
}

func (c trie) manifest() string {
	return `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: ` + c.name + `}
spec:
  type: LPMTrie
  value: {type: u8}
  maxEntries: 16
  ` + c.spec + "\n"
}

// TestTries applies tries of real programs, and looks full keys up as these programs do: the kernel finds the longest
// prefix of them.
func TestTries(t *testing.T) {
	for _, c := range tries {
		t.Run(c.name, func(t *testing.T) {
			bpffs := mountBPFFS(t)
			file := write(t, "trie.yaml", c.manifest())
			at := []string{"-f", file, "--bpffs", bpffs}
			ok(t, append([]string{"apply"}, at...)...)
			equal(t, strings.Join(hexKeys(ok(t, append([]string{"dump", "-o", "hex", "--sort"}, at...)...)), "\n"), strings.Join(c.keys, "\n"))
			equal(t, ok(t, append([]string{"dump", "-o", "yaml", "--sort"}, at...)...), c.dump)
			pin := []string{"-f", file, "--pin", bpffs + "/bpfmap/edge/" + c.name, "--key"}
			for key, value := range c.found {
				if got := ok(t, append(append([]string{"map", "lookup"}, pin...), key)...); !strings.Contains(got, value) {
					t.Errorf("%s finds %s, want %s", key, got, value)
				}
			}
			for _, key := range c.missing {
				fails(t, append(append([]string{"map", "lookup"}, pin...), key)...)
			}
			again := write(t, "again.yaml", strings.Split(c.manifest(), "  entries:")[0]+indented(c.dump))
			equal(t, withoutIDs(ok(t, "apply", "-f", again, "--bpffs", bpffs)),
				withoutIDs(ok(t, append([]string{"apply"}, at...)...)))
			if r := run(t, append([]string{"diff"}, at...)...); r.code != 0 {
				t.Errorf("diff says\n%s", r)
			}
		})
	}
}

// hexKeys are the keys in what `dump -o hex` prints.
func hexKeys(dump string) []string {
	var keys []string
	for line := range strings.Lines(dump) {
		if key, _, ok := strings.Cut(strings.TrimPrefix(line, "key: "), "  value:"); ok {
			keys = append(keys, strings.ReplaceAll(key, " ", ""))
		}
	}
	return keys
}

// indented is text below spec.
func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}

// TestForeignPrefixes: programs store keys with bits behind the prefix. A dump shows in text that they are there, and in what
// can be applied again the key that the kernel takes them for.
func TestForeignPrefixes(t *testing.T) {
	bpffs := mountBPFFS(t)
	c := tries[0]
	file := write(t, "trie.yaml", c.manifest())
	ok(t, "apply", "-f", file, "--bpffs", bpffs)
	pin := bpffs + "/bpfmap/edge/" + c.name
	ok(t, "map", "delete", "-f", file, "--pin", pin, "--key", "{ifindex: 1, cidr: 172.16.0.0/12}")
	ok(t, "map", "update", "--pin", pin, "--key", "hex:2c00000001000000ac1fffff", "--value", "u8:7")
	at := []string{"--sort", "-f", file, "--bpffs", bpffs}
	if text := ok(t, append([]string{"dump"}, at...)...); !strings.Contains(text, "{ifindex: lo, cidr: 172.16.0.0/12} (bits behind the prefix are not zero) = 7\n") {
		t.Errorf("the dump is\n%s", text)
	}
	for _, output := range []string{"yaml", "json"} {
		got := strings.ReplaceAll(ok(t, append([]string{"dump", "-o", output}, at...)...), " ", "")
		if !strings.Contains(got, `{"key":{"ifindex":"lo","cidr":"172.16.0.0/12"},"value":7}`) {
			t.Errorf("the dump in %s is\n%s", output, got)
		}
	}
}

// TestIndexInNetworkOrder writes what xdp-filter looks up with the two bytes of a port in a packet.
func TestIndexInNetworkOrder(t *testing.T) {
	bpffs := mountBPFFS(t)
	file := write(t, "ports.yaml", `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: ports}
spec: {type: Array, key: {type: be16}, value: {type: u8}, maxEntries: 65536, entries: [{key: 80, value: 6}, {key: 53, value: 10}]}
`)
	ok(t, "apply", "-f", file, "--bpffs", bpffs)
	pin := bpffs + "/bpfmap/edge/ports"
	for port, index := range map[string]string{"80": "u32:20480", "53": "u32:13568", "81": "u32:20736"} {
		equal(t, ok(t, "map", "lookup", "-f", file, "--pin", pin, "--key", port, "-o", "hex"),
			ok(t, "map", "lookup", "-f", file, "--pin", pin, "--key", index, "-o", "hex"))
	}
	dump := ok(t, "dump", "-f", file, "--bpffs", bpffs)
	if !strings.Contains(dump, "\n80 = 6\n") || !strings.Contains(dump, "\n53 = 10\n") {
		t.Errorf("the dump is\n%.200s", dump)
	}
}

// retained is what a dump prints once only BTF tells the types. Without tags an interface is a number, and 16 bytes are an
// IPv6 address.
func (c trie) retained(t *testing.T) string {
	if keepsTags(t) {
		return c.dump
	}
	return strings.NewReplacer(
		`"ifindex":"lo"`, `"ifindex":1`, `"10.0.0.0/8", "value": 1}
- {"key": "2001:`, `"::ffff:10.0.0.0/104", "value": 1}
- {"key": "2001:`, `"100.64.1.0/24"`, `"::6440:100/120"`,
	).Replace(c.dump)
}

// TestRetainedTries: the BTF of a trie says what its keys are, once nothing else does.
func TestRetainedTries(t *testing.T) {
	for _, c := range tries {
		t.Run(c.name, func(t *testing.T) {
			bpffs := mountBPFFS(t)
			file := write(t, "trie.yaml", strings.Replace(c.manifest(), "  maxEntries:", "  deletionPolicy: Retain\n  maxEntries:", 1))
			ok(t, "apply", "-f", file, "--bpffs", bpffs)
			ok(t, "delete", "-f", file, "--bpffs", bpffs)
			equal(t, ok(t, "dump", "-o", "yaml", "--sort", "--pin", bpffs+"/bpfmap/edge/"+c.name, "--bpffs", bpffs), c.retained(t))
		})
	}
}
