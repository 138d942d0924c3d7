// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// TestAddressesOfBothFamilies puts IPv4 where the schema says, and prints what makes the same bytes again.
func TestAddressesOfBothFamilies(t *testing.T) {
	const mapped, first, last = `{type: ip}`, `{type: ip, ipv4As: First}`, `{type: ip, ipv4As: Last}`
	const mappedPrefix, firstPrefix, lastPrefix = `{type: ipPrefix}`, `{type: ipPrefix, ipv4As: First}`, `{type: ipPrefix, ipv4As: Last}`
	for _, test := range []struct{ schema, in, bytes, out string }{
		{mapped, "192.0.2.1", "00000000000000000000ffffc0000201", "192.0.2.1"},
		{mapped, "::ffff:192.0.2.1", "00000000000000000000ffffc0000201", "192.0.2.1"},
		{mapped, "::ffff:c000:201", "00000000000000000000ffffc0000201", "192.0.2.1"},
		{mapped, "2001:db8::1", "20010db8000000000000000000000001", "2001:db8::1"},
		{mapped, "::", "00000000000000000000000000000000", "::"},
		{mapped, "0.0.0.0", "00000000000000000000ffff00000000", "0.0.0.0"},
		{first, "192.0.2.1", "c0000201000000000000000000000000", "192.0.2.1"},
		{first, "c000:201::", "c0000201000000000000000000000000", "192.0.2.1"},
		{first, "0.0.0.0", "00000000000000000000000000000000", "::"},
		{first, "::1", "00000000000000000000000000000001", "::1"},
		{first, "::ffff:192.0.2.1", "00000000000000000000ffffc0000201", "::ffff:192.0.2.1"},
		{last, "192.0.2.1", "000000000000000000000000c0000201", "192.0.2.1"},
		{last, "::c000:201", "000000000000000000000000c0000201", "192.0.2.1"},
		{last, "::1", "00000000000000000000000000000001", "::1"},
		{last, "0.0.0.1", "00000000000000000000000000000001", "::1"},
		{mappedPrefix, "192.0.2.0/24", "<78000000>00000000000000000000ffffc0000200", "192.0.2.0/24"},
		{mappedPrefix, "::ffff:192.0.2.0/120", "<78000000>00000000000000000000ffffc0000200", "192.0.2.0/24"},
		{mappedPrefix, "0.0.0.0/0", "<60000000>00000000000000000000ffff00000000", "0.0.0.0/0"},
		{mappedPrefix, "::/0", "<00000000>00000000000000000000000000000000", "::/0"},
		{mappedPrefix, "::fffe:0:0/95", "<5f000000>00000000000000000000fffe00000000", "::fffe:0:0/95"},
		{mappedPrefix, "2001:db8::/32", "<20000000>20010db8000000000000000000000000", "2001:db8::/32"},
		{firstPrefix, "10.0.0.0/8", "<08000000>0a000000000000000000000000000000", "10.0.0.0/8"},
		{firstPrefix, "2001:db8::/32", "<20000000>20010db8000000000000000000000000", "32.1.13.184/32"},
		{firstPrefix, "2001:db8::/48", "<30000000>20010db8000000000000000000000000", "2001:db8::/48"},
		{firstPrefix, "0.0.0.0/0", "<00000000>00000000000000000000000000000000", "::/0"},
		{lastPrefix, "10.0.0.0/8", "<68000000>0000000000000000000000000a000000", "10.0.0.0/8"},
		{lastPrefix, "0.0.0.0/0", "<60000000>00000000000000000000000000000000", "0.0.0.0/0"},
		{lastPrefix, "::/0", "<00000000>00000000000000000000000000000000", "::/0"},
		{lastPrefix, "::1/128", "<80000000>00000000000000000000000000000001", "::1/128"},
		{lastPrefix, "::/64", "<40000000>00000000000000000000000000000000", "::/64"},
		{`{type: ipv6}`, "::ffff:192.0.2.1", "00000000000000000000ffffc0000201", "::ffff:192.0.2.1"},
		{`{type: ipv6}`, "::ffff:c000:0201", "00000000000000000000ffffc0000201", "::ffff:192.0.2.1"},
		{`{type: ipv6}`, "0:0:0:0:0:FFFF:192.0.2.1", "00000000000000000000ffffc0000201", "::ffff:192.0.2.1"},
		{`{type: ipv6Prefix}`, "::ffff:192.0.2.0/120", "<78000000>00000000000000000000ffffc0000200", "::ffff:192.0.2.0/120"},
		{`{type: ipv6Prefix}`, "::ffff:0:0/96", "<60000000>00000000000000000000ffff00000000", "::ffff:0.0.0.0/96"},
	} {
		checkValue(t, test.schema, `"`+test.in+`"`, test.bytes, `"`+test.out+`"`, test.out)
	}
}

// TestAddressBytesComeBack prints random bytes of addresses and prefixes, many of them near those of IPv4, and
// reads them again.
func TestAddressBytesComeBack(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, placement := range []string{"Mapped", "First", "Last"} {
		addresses, prefixes := layout(t, `{type: ip, ipv4As: `+placement+`}`), layout(t, `{type: ipPrefix, ipv4As: `+placement+`}`)
		for range 20000 {
			var b [20]byte
			for i := 4; i < 20; i++ {
				switch random.IntN(4) {
				case 0:
					b[i] = byte(random.Uint32())
				case 1:
					b[i] = 0xff
				}
			}
			if from := 4 + random.IntN(17); random.IntN(2) == 0 {
				clear(b[4:from])
			} else {
				clear(b[from:])
			}
			if random.IntN(4) == 0 {
				clear(b[4:14])
				b[14], b[15] = 0xff, 0xff
			}
			checkComesBack(t, addresses, b[4:])
			bits := random.IntN(129)
			a, err := netip.AddrFrom16([16]byte(b[4:])).Prefix(bits)
			if err != nil {
				t.Fatal(err)
			}
			masked := a.Addr().As16()
			copy(b[4:], masked[:])
			binary.NativeEndian.PutUint32(b[:], uint32(bits))
			checkComesBack(t, prefixes, b[:])
		}
	}
}

func checkComesBack(t *testing.T, l *Layout, b []byte) {
	t.Helper()
	again := make([]byte, len(b))
	if err := l.Encode(again, l.Decode(b)); err != nil || !bytes.Equal(again, b) {
		t.Fatalf("%s is printed as %s, which is %x (%v)", hex.EncodeToString(b), l.Decode(b), again, err)
	}
}

// TestDottedIsNetip takes no text that netip refuses, and makes the same of it.
func TestDottedIsNetip(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const characters = "0012345678925/.x"
	for range 200000 {
		text := make([]byte, random.IntN(19))
		for i := range text {
			text[i] = characters[random.IntN(len(characters))]
			if i%4 == 3 && random.IntN(4) > 0 {
				text[i] = '.'
			}
		}
		if a, ok := dotted(text); ok {
			if want, err := netip.ParseAddr(string(text)); err != nil || a != want {
				t.Fatalf("%s is %s, want %s (%v)", text, a, want, err)
			}
		}
		if p, ok := dottedPrefix(text); ok {
			if want, err := netip.ParsePrefix(string(text)); err != nil || p != want {
				t.Fatalf("%s is %s, want %s (%v)", text, p, want, err)
			}
		}
	}
	for _, text := range []string{"0.0.0.0", "255.255.255.255", "1.20.255.4"} {
		if _, ok := dotted([]byte(text)); !ok {
			t.Errorf("%s is not taken", text)
		}
		if _, ok := dottedPrefix([]byte(text + "/32")); !ok {
			t.Errorf("%s/32 is not taken", text)
		}
	}
}

// TestPrefixTypesAreAlike prints the same of ipPrefix, as a value, and of an address that is the prefix of a key.
func TestPrefixTypesAreAlike(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for _, placement := range []string{"Mapped", "First", "Last"} {
		value, key := layout(t, `{type: ipPrefix, ipv4As: `+placement+`}`), layout(t, `{type: ip, prefix: true, ipv4As: `+placement+`}`)
		for range 20000 {
			var b [20]byte
			for i := 4; i < 20; i++ {
				b[i] = byte(random.Uint32()) >> random.IntN(8)
			}
			clear(b[4+random.IntN(5) : 16])
			if random.IntN(2) == 0 {
				clear(b[4:16])
			}
			if random.IntN(4) == 0 {
				clear(b[4:14])
				b[14], b[15] = 0xff, 0xff
			}
			bits := random.IntN(129)
			p, err := netip.AddrFrom16([16]byte(b[4:])).Prefix(bits)
			if err != nil {
				t.Fatal(err)
			}
			masked := p.Addr().As16()
			copy(b[4:], masked[:])
			binary.NativeEndian.PutUint32(b[:], uint32(bits))
			if v, k := string(value.Decode(b[:])), string(key.Decode(b[:])); v != k {
				t.Fatalf("%s: %x is %s as a value, %s as a key", placement, b, v, k)
			}
		}
	}
}
