// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// prefixExample is a usual prefix length of the family.
func prefixExample(s *scalar) string {
	if s.isIPv6() {
		return "/48"
	}
	return "/24"
}

// isIPv6 says which family the type is of.
func (s *scalar) isIPv6() bool {
	return s.typ == v1alpha1.TypeIPv6 || s.typ == v1alpha1.TypeIPv6Prefix
}

func (s *scalar) family() (name, example string) {
	if s.isIPv6() {
		return "IPv6", "2001:db8::1"
	}
	return "IPv4", "192.0.2.1"
}

// address checks that an address is of the type's family and means one place on every machine.
func (s *scalar) address(text string, a netip.Addr) string {
	name, _ := s.family()
	switch {
	case a.Zone() != "":
		return fmt.Sprintf("%q has a zone, which a map can't hold", text)
	case a.Is4In6():
		return fmt.Sprintf("%q is an IPv4 address in IPv6 notation: write it as either of the two", text)
	case a.Is6() != s.isIPv6():
		return fmt.Sprintf("%q is not an %s address", text, name)
	}
	return ""
}

func encodeIP(s *scalar, dst []byte, value literal) string {
	name, example := s.family()
	text, ok := value.word()
	if !ok {
		return fmt.Sprintf("%s is not a valid %s address (such as %s)", value, name, example)
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return fmt.Sprintf("%q is not a valid %s address (such as %s)", text, name, example)
	}
	if msg := s.address(text, a); msg != "" {
		return msg
	}
	copy(dst, a.AsSlice())
	return ""
}

func appendIP(_ *scalar, dst, b []byte) []byte {
	a, _ := netip.AddrFromSlice(b)
	return a.AppendTo(dst)
}

// encodePrefix writes the kernel's LPM key: the prefix length in the node's order, then the address.
func encodePrefix(s *scalar, dst []byte, value literal) string {
	text, ok := value.word()
	if !ok {
		name, example := s.family()
		return fmt.Sprintf("%s is not a valid %s prefix (such as %s)", value, name, example+prefixExample(s))
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return s.notPrefix(text)
	}
	if msg := s.address(text, p.Addr()); msg != "" {
		return msg
	}
	if masked := p.Masked(); masked != p {
		return fmt.Sprintf("%q has host bits set (did you mean %s, or %s/%d?)", text, masked, p.Addr(), p.Addr().BitLen())
	}
	binary.NativeEndian.PutUint32(dst, uint32(p.Bits()))
	copy(dst[4:], p.Addr().AsSlice())
	return ""
}

// notPrefix says why text is not a prefix: without a length, with one that is out of range, or neither.
func (s *scalar) notPrefix(text string) string {
	name, example := s.family()
	example += prefixExample(s)
	addr, length, found := strings.Cut(text, "/")
	if a, err := netip.ParseAddr(addr); err == nil && s.address(addr, a) == "" {
		if !found {
			return fmt.Sprintf("%q has no prefix length (did you mean %s/%d?)", text, text, a.BitLen())
		}
		if n, err := strconv.Atoi(length); err == nil {
			return fmt.Sprintf("%q: prefix length %d is out of range (0…%d)", text, n, a.BitLen())
		}
	}
	return fmt.Sprintf("%q is not a valid %s prefix (such as %s)", text, name, example)
}

func appendPrefix(_ *scalar, dst, b []byte) []byte {
	dst = appendIP(nil, dst, b[4:])
	return strconv.AppendUint(append(dst, '/'), uint64(binary.NativeEndian.Uint32(b)), 10)
}

func encodeMAC(_ *scalar, dst []byte, value literal) string {
	text, ok := value.word()
	if ok {
		if mac, err := net.ParseMAC(text); err == nil && len(mac) == len(dst) {
			copy(dst, mac)
			return ""
		}
	}
	return value.String() + " is not a valid MAC address (such as 02:00:5e:10:00:01)"
}

func appendMAC(_ *scalar, dst, b []byte) []byte { return append(dst, net.HardwareAddr(b).String()...) }
