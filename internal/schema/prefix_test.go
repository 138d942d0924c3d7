// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/nativehex"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

func schemaOf(t testing.TB, text string) *v1alpha1.Schema {
	t.Helper()
	var s v1alpha1.Schema
	if err := yaml.UnmarshalStrict([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

func layoutOf(t testing.TB, text string) *schema.Layout {
	t.Helper()
	l, err := schema.New(schemaOf(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// keysOf are the keys of a value, each as its prefix length and the bytes behind it: "8 0a000000".
func keysOf(l *schema.Layout, raw string) ([]string, error) {
	key := make([]byte, l.Size())
	all, err := l.EncodeKeys(key, []byte(raw), schema.Reading{})
	if err != nil {
		return nil, err
	}
	count := all.Count()
	var keys []string
	for ok := true; ok; ok = all.Next(key) {
		keys = append(keys, keyText(key))
	}
	if len(keys) != count {
		return nil, fmt.Errorf("Count says %d of %d keys", count, len(keys))
	}
	return keys, nil
}

func keyText(key []byte) string {
	return fmt.Sprintf("%d %x", binary.NativeEndian.Uint32(key), key[4:])
}

// keyBytes is the inverse of keyText.
func keyBytes(t testing.TB, text string) []byte {
	t.Helper()
	var n uint32
	var digits string
	if _, err := fmt.Sscanf(text, "%d %s", &n, &digits); err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.NativeEndian.AppendUint32(nil, n), b...)
}

const (
	firewallKey = "{fields: [{name: ifindex, type: u32}, {name: addr, type: ipv4, prefix: true}]}"
	portKey     = "{fields: [{name: proto, type: u8}, {name: port, type: be16, prefix: true}]}"
	wideKey     = "{fields: [{name: id, type: be64}, {name: port, type: be16, prefix: true}]}"
	anyPortKey  = `{fields: [{name: proto, type: u8}, {name: port, type: be16, prefix: true, default: "0-65535"}]}`
	paddedKey   = "{size: 20, align: 4, fields: [{type: padding, size: 4}, {name: zone, type: u16}, {type: padding, size: 3}, {name: addr, type: ipv4, prefix: true, align: 1}]}"
	unionKey    = "{fields: [{name: id, union: true, fields: [{name: cgroup, type: u64}, {name: mark, type: u32}]}, {name: port, type: be16, prefix: true}]}"
	ipKey       = "{fields: [{name: addr, type: ip, prefix: true}]}"
	packedKey   = "{packed: true, fields: [{name: id, type: be64}, {name: port, type: be16, prefix: true}]}"
)

func TestPrefixKeys(t *testing.T) {
	for _, c := range []struct{ schema, value, want string }{
		{"{type: ipv4, prefix: true}", `"10.0.0.0/8"`, "8 0a000000"},
		{"{type: ipv4, prefix: true}", `"10.0.0.1-10.0.0.4"`, "32 0a000001, 31 0a000002, 32 0a000004"},
		{"{type: ipv4, prefix: true}", `"0.0.0.0-255.255.255.255"`, "0 00000000"},
		{"{type: ipv6, prefix: true}", `"2001:db8::/32"`, "32 20010db8000000000000000000000000"},
		{"{type: ipv6, prefix: true}", `"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"`, "0 00000000000000000000000000000000"},
		{"{type: ipv4Prefix}", `"10.0.0.1-10.0.0.3"`, "32 0a000001, 31 0a000002"},
		{"{type: ipv4Prefix}", `"10.0.0.0/8"`, "8 0a000000"},
		{"{type: ipv6Prefix}", `"2001:db8::-2001:db8::ffff"`, "112 20010db8000000000000000000000000"},
		{"{type: ipPrefix, ipv4As: Last}", `"10.0.0.0-10.0.0.2"`, "127 0000000000000000000000000a000000, 128 0000000000000000000000000a000002"},
		{ipKey, `{"addr": "10.0.0.0/8"}`, "104 00000000000000000000ffff0a000000"},
		{ipKey, `{"addr": "10.0.0.1-10.0.0.3"}`, "128 00000000000000000000ffff0a000001, 127 00000000000000000000ffff0a000002"},
		{ipKey, `{"addr": "::ffff:0:0/96"}`, "96 00000000000000000000ffff00000000"},
		{ipKey, `{"addr": "::/0"}`, "0 00000000000000000000000000000000"},
		{"{type: ip, prefix: true, ipv4As: First}", `"10.0.0.0/8"`, "8 0a000000000000000000000000000000"},
		{"{type: ip, prefix: true, ipv4As: Last}", `"10.0.0.0/8"`, "104 0000000000000000000000000a000000"},
		{"{type: ip, prefix: true, ipv4As: Last}", `"2001:db8::/32"`, "32 20010db8000000000000000000000000"},
		{"{type: ipv6, prefix: true}", `"::ffff:100.64.1.0/120"`, "120 00000000000000000000ffff64400100"},
		{"{type: string, size: 8, prefix: true}", `"/etc/"`, "40 2f6574632f000000"},
		{"{type: string, size: 8, prefix: true}", `""`, "0 0000000000000000"},
		{"{type: string, size: 6, prefix: true}", `"abcdef"`, "48 6162636465660000"}, // a struct of C has 12 bytes
		{"{type: hex, size: 4, prefix: true}", `"0a01/16"`, "16 0a010000"},
		{"{type: hex, size: 4, prefix: true}", `"0x0a80/9"`, "9 0a800000"},
		{"{type: hex, size: 4, prefix: true}", `"/0"`, "0 00000000"},
		{"{type: u8, prefix: true}", `"0-255"`, "0 00000000"},
		{"{type: be16, prefix: true}", `"8000-8999"`, "10 1f400000, 9 1f800000, 7 20000000, 8 22000000, 11 23000000, 13 23200000"},
		{"{type: be64, prefix: true}", `"0x10-0x1f"`, "92 000000000000000000000010"},
		{firewallKey, `{"ifindex": 1, "addr": "172.16.0.0/24"}`, "56 <01000000>ac100000"},
		{firewallKey, `{"addr": "172.16.0.0-172.16.2.255", "ifindex": 1}`, "55 <01000000>ac100000, 56 <01000000>ac100200"},
		{portKey, `{"proto": 6, "port": 443}`, "32 060001bb"},
		{portKey, `{"proto": 6, "port": "0x01bb"}`, "32 060001bb"},
		{portKey, `{"proto": 6, "port": "8000/10"}`, "26 06001f40"},
		{portKey, `{"proto": 6, "port": "8000-8063"}`, "26 06001f40"},
		{wideKey, `{"id": 1, "port": 443}`, "112 00000000000000000000000101bb000000000000"},
		{packedKey, `{"id": 1, "port": 443}`, "80 000000000000000101bb"},
		{anyPortKey, `{"proto": 6}`, "16 06000000"},
		{anyPortKey, `{"proto": 6, "port": "0x50"}`, "32 06000050"},
		{firewallKey, `{"$hex": "<28000000><01000000>0a000001"}`, "40 <01000000>0a000001"},
		{paddedKey, `{"zone": 1, "addr": "10.0.0.0/8"}`, "80 00000000<0100>0000000a000000000000"},
		{unionKey, `{"id": {"cgroup": 7}, "port": "0-1"}`, "111 00000000<0700000000000000>0000000000000000"},
	} {
		l := layoutOf(t, c.schema)
		keys, err := keysOf(l, nativehex.Text(c.value))
		if got := strings.Join(keys, ", "); err != nil || got != nativehex.Text(c.want) {
			t.Errorf("%s %s: keys %s (%v), want %s", c.schema, c.value, got, err, c.want)
		}
	}
}

func TestPrefixKeysThatAreRefused(t *testing.T) {
	for _, c := range []struct{ schema, value, want string }{
		{firewallKey, `{"ifindex": 1, "addr": "10.1.2.3/8"}`, `.addr: "10.1.2.3/8" has host bits set (did you mean 10.0.0.0/8, or 10.1.2.3/32?)`},
		{firewallKey, `{"ifindex": 1, "addr": "10.1.2.3"}`, `.addr: "10.1.2.3" has no prefix length (did you mean 10.1.2.3/32?)`},
		{firewallKey, `{"ifindex": 1, "addr": "10.0.0.0/33"}`, `.addr: "10.0.0.0/33": prefix length 33 is out of range (0…32)`},
		{firewallKey, `{"ifindex": 1}`, ".addr: is missing, and has no default"},
		{firewallKey, `{"ifindex": 1, "addr": "10.0.0.9-10.0.0.1"}`, `.addr: "10.0.0.9-10.0.0.1" ends before it begins (did you mean 10.0.0.1-10.0.0.9?)`},
		{firewallKey, `{"ifindex": 1, "addr": "10.0.0.9-x"}`, `.addr: "10.0.0.9-x": "x" is not a valid IPv4 address (such as 192.0.2.1)`},
		{firewallKey, `{"ifindex": 1, "addr": "10.0.0.9-2001:db8::1"}`, `.addr: "2001:db8::1" is not an IPv4 address`},
		{firewallKey, `{"ifindex": 1, "addr": 7}`, ".addr: 7 is not a valid IPv4 prefix (such as 192.0.2.0/24)"},
		{"{type: ipv4Prefix}", `"10.0.0.9-10.0.0.1"`, `"10.0.0.9-10.0.0.1" ends before it begins (did you mean 10.0.0.1-10.0.0.9?)`},
		{portKey, `{"proto": 6, "port": "9000-8000"}`, `.port: "9000-8000" ends before it begins (did you mean 8000-9000?)`},
		{portKey, `{"proto": 6, "port": "8000-65536"}`, `.port: "8000-65536": 65536 is out of range for be16 (0…65535)`},
		{portKey, `{"proto": 6, "port": 65536}`, ".port: 65536 is out of range for be16 (0…65535)"},
		{portKey, `{"proto": 6, "port": -1}`, ".port: -1 is out of range for be16 (0…65535)"},
		{portKey, `{"proto": 6, "port": "8001/10"}`, `.port: "8001/10" has bits set behind its prefix length (did you mean 8000/10, or 8001?)`},
		{portKey, `{"proto": 6, "port": "8000/17"}`, `.port: "8000/17": prefix length 17 is out of range (0…16)`},
		{portKey, `{"proto": 6, "port": "8000/x"}`, `.port: "8000/x": "x" is not a prefix length (0…16)`},
		{portKey, `{"proto": 6, "port": "http"}`, `.port: "http" is not an integer`},
		{firewallKey, `{"ifindex": 1, "addr": {"$hex": "0a000000"}}`, ".addr: a prefix can't be given as bytes without its length: give the key as a whole in bytes"},
		{firewallKey, `{"$hex": "0a000000"}`, ".$hex: is 4 bytes long, exactly 12 are required"},
		{"{type: string, size: 4, prefix: true}", `"/etc/"`, `"/etc/" is 5 bytes long, more than size 4`},
		{"{type: hex, size: 4, prefix: true}", `"0a01"`, `"0a01" has no prefix length (did you mean 0a01/16?)`},
		{"{type: hex, size: 4, prefix: true}", `"0a01/12"`, `"0a01/12" has bits set behind its prefix length (did you mean 0a00/12, or 0a01/16?)`},
		{"{type: hex, size: 1, prefix: true}", `"0a01/16"`, `"0a01/16" is 2 bytes long, more than size 1`},
		{"{type: hex, size: 4, prefix: true}", `"0a0/12"`, `"0a0/12" is not a prefix of pairs of hex digits (such as 0a01/16)`},
	} {
		if keys, err := keysOf(layoutOf(t, c.schema), c.value); err == nil || err.Error() != c.want {
			t.Errorf("%s %s: %v %v, want %s", c.schema, c.value, keys, err, c.want)
		}
	}
}

// TestOneKeyOfARange: what takes one key takes a range that is one prefix.
func TestOneKeyOfARange(t *testing.T) {
	l := layoutOf(t, portKey)
	key := make([]byte, l.Size())
	if err := l.Encode(key, []byte(`{"proto": 6, "port": "8000-8063"}`)); err != nil || keyText(key) != "26 06001f40" {
		t.Errorf("%s, %v", keyText(key), err)
	}
	clear(key)
	const want = `.port: "8000-8999" is 6 prefixes, and one is needed here`
	if err := l.Encode(key, []byte(`{"proto": 6, "port": "8000-8999"}`)); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestPrefixSchemasThatAreRefused(t *testing.T) {
	for _, c := range []struct{ schema, want string }{
		{"{fields: [{name: a, type: ipv4, prefix: true}, {name: b, type: u8}]}", `.fields[0].prefix: a lookup compares all fields before the prefix as a whole: it must be the last field, and field "b" is behind it`},
		{"{fields: [{name: a, fields: [{name: b, type: ipv4, prefix: true}]}]}", ".fields[0].fields[0].prefix: is possible for the key of an LPMTrie and for its last field, not in a nested struct"},
		{"{prefix: true, fields: [{name: a, type: ipv4}]}", ".prefix: goes to the last field, not to the struct: it alone is matched by prefix"},
		{"{fields: [{name: a, type: u32, prefix: true}]}", ".fields[0].prefix: u32 is in the node's byte order, and a trie compares bits from the first byte on: use be32"},
		{"{type: u16, prefix: true}", ".prefix: u16 is in the node's byte order, and a trie compares bits from the first byte on: use be16"},
		{"{type: ipv4Prefix, prefix: true}", ".prefix: ipv4Prefix holds a prefix length of its own: use {type: ipv4, prefix: true}"},
		{"{type: mac, prefix: true}", ".prefix: mac can't be matched by prefix (possible: ipv4, ipv6, ip, string, hex, u8, be16, be32, be64)"},
		{"{fields: [{name: a, prefix: true, fields: [{name: b, type: u8}]}]}", ".fields[0].prefix: a struct can't be matched by prefix (possible: ipv4, ipv6, ip, string, hex, u8, be16, be32, be64)"},
		{"{type: be16, prefix: true, length: 2}", ".prefix: an array can't be matched by prefix"},
		{"{length: 2, fields: [{name: a, type: ipv4, prefix: true}]}", ".fields[0].prefix: a key is one prefix, not a list of them"},
		{"{fields: [{name: a, type: be16, prefix: true, enum: {http: 80}}]}", ".fields[0].prefix: bits, enum, flags, duration and time are not possible together with prefix"},
		{`{fields: [{name: a, type: be16, prefix: true, default: "1-2"}]}`, `.fields[0].default: "1-2" is 2 prefixes, and one is needed here`},
		{`{type: be16, prefix: true, default: 1}`, `.default: a key as a whole has no default`},
		{"{union: true, fields: [{name: a, type: ipv4, prefix: true}]}", ".fields[0].prefix: the members of a union have no last one: make the union a field, and the prefix the field behind it"},
	} {
		if _, err := schema.New(schemaOf(t, c.schema)); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.schema, err, c.want)
		}
	}
}

// TestPrefixText prints keys, those that a program wrote among them.
func TestPrefixText(t *testing.T) {
	for _, c := range []struct{ schema, key, text, json string }{
		{firewallKey, "40 <01000000>0a000000", "{ifindex: 1, addr: 10.0.0.0/8}", `{"ifindex":1,"addr":"10.0.0.0/8"}`},
		{firewallKey, "40 <01000000>0a000001", "{ifindex: 1, addr: 10.0.0.0/8} (bits behind the prefix are not zero)", `{"$hex":"<28000000><01000000>0a000001"}`},
		{firewallKey, "16 <01000000>00000000", "{ifindex: 1, addr: hex:00000000} (prefix length 16 ends before bit 32, where the prefix begins)", `{"$hex":"<10000000><01000000>00000000"}`},
		{firewallKey, "65 <01000000>0a000000", "{ifindex: 1, addr: hex:0a000000} (prefix length 65 is more than 64)", `{"$hex":"<41000000><01000000>0a000000"}`},
		{ipKey, "104 00000000000000000000ffff0a000000", "{addr: 10.0.0.0/8}", `{"addr":"10.0.0.0/8"}`},
		{ipKey, "90 00000000000000000000000000000000", "{addr: ::/90}", `{"addr":"::/90"}`},
		{ipKey, "96 00000000000000000000ffff00000000", "{addr: 0.0.0.0/0}", `{"addr":"0.0.0.0/0"}`},
		{portKey, "16 06000000", "{proto: 6, port: 0-65535}", `{"proto":6,"port":"0-65535"}`},
		{portKey, "32 060001bb", "{proto: 6, port: 443}", `{"proto":6,"port":443}`},
		{portKey, "26 06001f40", "{proto: 6, port: 8000-8063}", `{"proto":6,"port":"8000-8063"}`},
		{portKey, "32 060101bb", "{proto: 6, port: 443} (padding is not zero)", `{"$hex":"<20000000>060101bb"}`},
		{wideKey, "112 00000000000000000000000101bb000000000001", "{id: 1, port: 443} (padding is not zero)", `{"$hex":"<70000000>00000000000000000000000101bb000000000001"}`},
		{"{type: ipv4, prefix: true}", "8 0a000000", "10.0.0.0/8", `"10.0.0.0/8"`},
		{"{type: ipv4, prefix: true}", "8 0a000001", "10.0.0.0/8 (bits behind the prefix are not zero)", `{"$hex":"<08000000>0a000001"}`},
		{"{type: string, size: 4, prefix: true}", "16 2f650000", "/e", `"/e"`},
		{"{type: string, size: 4, prefix: true}", "0 00000000", `""`, `""`},
		{"{type: string, size: 4, prefix: true}", "12 2f600000", "hex:2f60/12", `{"$hex":"<0c000000>2f600000"}`},
		{"{type: string, size: 4, prefix: true}", "16 2f000000", "hex:2f00/16", `{"$hex":"<10000000>2f000000"}`},
		{"{type: hex, size: 4, prefix: true}", "12 2f600000", "2f60/12", `"2f60/12"`},
		{"{type: be64, prefix: true}", "96 00000000ffffffffffffffff", "18446744073709551615", `"18446744073709551615"`},
		{"{type: be64, prefix: true}", "32 000000000000000000000000", "0-18446744073709551615", `"0-18446744073709551615"`},
	} {
		l, key := layoutOf(t, c.schema), keyBytes(t, nativehex.Text(c.key))
		if got := l.Format(key); got != c.text {
			t.Errorf("%s %s is printed as %s, want %s", c.schema, c.key, got, c.text)
		}
		if got := string(l.Decode(key)); got != nativehex.Text(c.json) {
			t.Errorf("%s %s decodes to %s, want %s", c.schema, c.key, got, c.json)
		}
	}
}
