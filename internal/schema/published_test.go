// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"strings"
	"testing"
)

// read is what a key of a published list stands for, or what is wrong with it.
func read(t *testing.T, schema, raw string, mask bool) string {
	t.Helper()
	l := layout(t, schema)
	key := make([]byte, l.Size())
	keys, err := l.EncodeKeys(key, []byte(raw), Reading{Published: true, MaskHostBits: mask})
	if err != nil {
		if l.IsOtherFamily([]byte(raw), false) {
			return "the other family"
		}
		return err.Error()
	}
	all := []string{l.Format(key)}
	for keys.Next(key) {
		all = append(all, l.Format(key))
	}
	return strings.Join(all, " ")
}

func TestPublishedAddresses(t *testing.T) {
	for _, c := range []struct{ schema, raw, want string }{
		{"{type: ipv4Prefix}", `"192.0.2.5"`, "192.0.2.5/32"},
		{"{type: ipv4Prefix}", `"192.0.2.0/24"`, "192.0.2.0/24"},
		{"{type: ipv6Prefix}", `"2001:db8::5"`, "2001:db8::5/128"},
		{"{type: ipPrefix}", `"192.0.2.5"`, "192.0.2.5/32"},
		{"{type: ipPrefix}", `"2001:db8::5"`, "2001:db8::5/128"},
		{"{type: ipv4, prefix: true}", `"192.0.2.5"`, "192.0.2.5/32"},
		{"{fields: [{name: port, type: be16}, {name: addr, type: ip, prefix: true}]}", `{"port": 53, "addr": "192.0.2.5"}`, "{port: 53, addr: 192.0.2.5/32}"},
		{"{type: ipv4}", `"192.0.2.5/32"`, "192.0.2.5"},
		{"{type: ip}", `"2001:db8::5/128"`, "2001:db8::5"},
		{"{type: ipv4}", `"192.0.2.0/31"`, `"192.0.2.0/31" is not a valid IPv4 address (such as 192.0.2.1)`},

		{"{type: ipv4Prefix}", `"192.0.2.0/255.255.255.0"`, "192.0.2.0/24"},
		{"{type: ipv4Prefix}", `"192.0.2.0/0.0.0.255"`, "192.0.2.0/24"},
		{"{type: ipv6Prefix}", `"2001:db8::/ffff:ffff::"`, "2001:db8::/32"},
		{"{type: ipPrefix}", `"10.0.0.0/255.0.0.0"`, "10.0.0.0/8"},
		{"{type: ipv4Prefix}", `"192.0.2.7/255.255.255.255"`, "192.0.2.7/32"},
		{"{type: ipv4Prefix}", `"192.0.2.7/0.0.0.0"`, "192.0.2.7/32"},
		{"{type: ipv4Prefix}", `"0.0.0.0/0.0.0.0"`, `"0.0.0.0/0.0.0.0" means 0.0.0.0/0 as a netmask and 0.0.0.0/32 as a wildcard: write the one that is meant`},
		{"{type: ipv4Prefix}", `"0.0.0.0/255.255.255.255"`, `"0.0.0.0/255.255.255.255" means 0.0.0.0/32 as a netmask and 0.0.0.0/0 as a wildcard: write the one that is meant`},
		{"{type: ipv4Prefix}", `"192.0.2.0/255.0.255.0"`, `"192.0.2.0/255.0.255.0": 255.0.255.0 is neither a netmask nor a wildcard: its set bits aren't the first or the last ones`},
		{"{type: ipv4Prefix}", `"192.0.2.7/255.255.255.0"`, `"192.0.2.7/255.255.255.0" has host bits set (did you mean 192.0.2.0/24, or 192.0.2.7/32?)`},
		{"{type: ipv4Prefix}", `"192.0.2.7/24"`, `"192.0.2.7/24" has host bits set (did you mean 192.0.2.0/24, or 192.0.2.7/32?)`},
		{"{type: ipv4Prefix}", `"192.0.2.0/ffff::"`, `"192.0.2.0/ffff::": "ffff::" is not a netmask of the address`},
		{"{type: ipv4Prefix}", `"192.0.2.0/33"`, `"192.0.2.0/33": prefix length 33 is out of range (0…32)`},
		{"{type: ipv4Prefix}", `"95.32.221.040/32"`, `"95.32.221.040/32" is not a valid IPv4 prefix (such as 192.0.2.0/24)`},

		{"{type: ipv4Prefix}", `"192.0.2.0-192.0.2.5"`, "192.0.2.0/30 192.0.2.4/31"},
		{"{type: ipv4Prefix}", `"192.0.2.5 - 192.0.2.5"`, "192.0.2.5/32"},
		{"{type: ipv4Prefix}", `"0.0.0.0-255.255.255.255"`, "0.0.0.0/0"},
		{"{type: ipPrefix}", `"2001:db8::-2001:db8::2"`, "2001:db8::/127 2001:db8::2/128"},

		{"{type: ipv4Prefix}", `"2001:db8::/32"`, "the other family"},
		{"{type: ipv4Prefix}", `"2001:db8::1"`, "the other family"},
		{"{type: ipv4Prefix}", `"2001:db8::1-2001:db8::9"`, "the other family"},
		{"{type: ipv4, prefix: true}", `"2001:db8::1"`, "the other family"},
		{"{type: ipv6Prefix}", `"192.0.2.1/24"`, "the other family"},
		{"{type: ipv4}", `"2001:db8::1"`, "the other family"},
		{"{type: ipv4Host}", `"2001:db8::1"`, "the other family"},
		{"{fields: [{name: port, type: be16}, {name: addr, type: ipv4, prefix: true}]}", `{"port": 53, "addr": "2001:db8::/32"}`, "the other family"},
		{"{type: ipv6Prefix}", `"192.0.2.300"`, `"192.0.2.300" is not a valid IPv6 prefix (such as 2001:db8::/48)`},
	} {
		if got := read(t, c.schema, c.raw, false); got != c.want {
			t.Errorf("%s %s: %s\nwant %s", c.schema, c.raw, got, c.want)
		}
	}
}

func TestHostBitsAreMasked(t *testing.T) {
	for raw, want := range map[string]string{
		`"192.0.2.7/24"`:            "192.0.2.0/24",
		`"192.0.2.7/255.255.255.0"`: "192.0.2.0/24",
		`"192.0.2.7/0.0.0.255"`:     "192.0.2.0/24",
		`"192.0.2.7/0.0.0.0"`:       "192.0.2.7/32", // not everything
		`"192.0.2.7"`:               "192.0.2.7/32",
		`"2001:db8::1/32"`:          "2001:db8::/32",
	} {
		if got := read(t, "{type: ipPrefix}", raw, true); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}

// TestNetmasksOfAllLengths has the netmask and the wildcard of each prefix length.
func TestNetmasksOfAllLengths(t *testing.T) {
	for n := 1; n < 32; n++ {
		mask := ^uint32(0) << (32 - n)
		for _, m := range []uint32{mask, ^mask} {
			raw := fmt.Sprintf(`"128.0.0.0/%d.%d.%d.%d"`, m>>24, m>>16&255, m>>8&255, m&255)
			if got, want := read(t, "{type: ipv4Prefix}", raw, false), fmt.Sprintf("128.0.0.0/%d", n); got != want {
				t.Errorf("%s: %s, want %s", raw, got, want)
			}
		}
	}
}

// Entries of a spec are written in one way.
func TestPublishedWaysAreForSources(t *testing.T) {
	l := layout(t, "{type: ipv4Prefix}")
	for _, raw := range []string{`"192.0.2.5"`, `"192.0.2.0/255.255.255.0"`} {
		if _, err := l.EncodeKeys(make([]byte, l.Size()), []byte(raw), Reading{}); err == nil {
			t.Errorf("%s is taken", raw)
		}
	}
}
