// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// prefixExample has no host bits, so that it would be taken.
func (s *scalar) prefixExample() string {
	switch {
	case s.isBoth():
		return "192.0.2.0/24 or 2001:db8::/48"
	case s.isIPv6():
		return "2001:db8::/48"
	}
	return "192.0.2.0/24"
}

// encodePrefix writes the kernel's LPM key: the prefix length in the node's order, then the address.
func encodePrefix(s *scalar, dst []byte, value literal) string {
	text, ok := value.wordBytes()
	if !ok {
		name, _ := s.family()
		return fmt.Sprintf("%s is not a valid %s prefix (such as %s)", value, name, s.prefixExample())
	}
	var p netip.Prefix
	if ok = !s.isIPv6(); ok {
		p, ok = dottedPrefix(text)
	}
	if !ok {
		var msg string
		if p, msg = s.parsePrefix(string(text), value); msg != "" {
			return msg
		}
	}
	binary.NativeEndian.PutUint32(dst, uint32(s.prefixBits(p)))
	s.putAddr(dst[4:], p.Addr())
	return ""
}

// dottedPrefix is an IPv4 prefix without host bits that is written as 192.0.2.0/24, as dotted is an address.
func dottedPrefix(text []byte) (p netip.Prefix, ok bool) {
	address, length, _ := bytes.Cut(text, []byte("/"))
	a, ok := dotted(address)
	if !ok || len(length) == 0 || len(length) > 2 || length[0] == '0' && len(length) > 1 || !isDigits(length) {
		return p, false
	}
	n := 0
	for _, c := range length {
		n = 10*n + int(c-'0')
	}
	p = netip.PrefixFrom(a, n)
	return p, p.IsValid() && p.Masked() == p
}

// parsePrefix reads a prefix of the type's family, as value may be written.
func (s *scalar) parsePrefix(text string, value literal) (netip.Prefix, string) {
	if value.published {
		if p, msg, ok := s.publishedPrefix(text, value.mask); ok {
			return p, msg
		}
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, s.notPrefix(text)
	}
	if msg := s.address(text, p.Addr()); msg != "" {
		return p, msg
	}
	if masked := p.Masked(); masked != p {
		return p, hostBits(text, p)
	}
	return p, ""
}

// prefixBits is how many bits of the address that putAddr writes belong to the prefix: an IPv4 address that
// isn't in front has 96 bits before it.
func (s *scalar) prefixBits(p netip.Prefix) int {
	if s.isBoth() && p.Addr().Is4() && s.placement != v1alpha1.IPv4First {
		return p.Bits() + 96
	}
	return p.Bits()
}

// prefixOf is the prefix of that many bits of the address in b, in the notation that makes the same bytes
// when it is read again; not a valid one if there are more bits than the address has.
func (s *scalar) prefixOf(b []byte, bits int) netip.Prefix {
	a := s.addrOf(b)
	switch {
	case !s.isBoth():
	case s.placement == v1alpha1.IPv4First:
		if a.Is4() && bits > 32 {
			a = netip.AddrFrom16(a16(b))
		}
	case bits < 96:
		a = netip.AddrFrom16(a16(b))
	case a.Is4():
		bits -= 96
	case isZero(b[:13]) && s.placement == v1alpha1.IPv4Last && bits < 128: // 0.0.0.0/0, 0.0.0.0/8
		a, bits = netip.AddrFrom4([4]byte(b[12:16])), bits-96
	}
	return netip.PrefixFrom(a, bits)
}

func a16(b []byte) [16]byte { return [16]byte(b[:16]) }

// notPrefix says why text is not a prefix: without a length, with one that is out of range, or neither.
func (s *scalar) notPrefix(text string) string {
	name, _ := s.family()
	addr, length, found := strings.Cut(text, "/")
	if a, err := netip.ParseAddr(addr); err == nil && s.address(addr, a) == "" {
		if !found {
			return fmt.Sprintf("%q has no prefix length (did you mean %s/%d?)", text, text, a.BitLen())
		}
		if n, err := strconv.Atoi(length); err == nil {
			return fmt.Sprintf("%q: prefix length %d is out of range (0…%d)", text, n, a.BitLen())
		}
	}
	return fmt.Sprintf("%q is not a valid %s prefix (such as %s)", text, name, s.prefixExample())
}

// lengthIn is the prefix length in b.
func lengthIn(b []byte) int { return int(binary.NativeEndian.Uint32(b)) }

// appendPrefix shows an address and a length even if the length is none of the address.
func appendPrefix(s *scalar, dst, b []byte) []byte {
	if p := s.prefixOf(b[4:], lengthIn(b)); p.IsValid() {
		return p.AppendTo(dst)
	}
	dst = s.addrOf(b[4:]).AppendTo(dst)
	return strconv.AppendUint(append(dst, '/'), uint64(lengthIn(b)), 10)
}

// exactPrefix says whether the length is one of the address, and no bits are set behind it.
func exactPrefix(s *scalar, b []byte) bool {
	p := s.prefixOf(b[4:], lengthIn(b))
	return p.IsValid() && p.Masked() == p
}
