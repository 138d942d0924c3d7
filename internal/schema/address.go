// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// isIPv6 says whether the type takes nothing but IPv6.
func (s *scalar) isIPv6() bool {
	return s.typ == v1alpha1.TypeIPv6 || s.typ == v1alpha1.TypeIPv6Prefix
}

// isBoth says whether the type takes addresses of both families.
func (s *scalar) isBoth() bool {
	return s.typ == v1alpha1.TypeIP || s.typ == v1alpha1.TypeIPPrefix
}

func (s *scalar) family() (name, example string) {
	switch {
	case s.isBoth():
		return "IP", "192.0.2.1 or 2001:db8::1"
	case s.isIPv6():
		return "IPv6", "2001:db8::1"
	}
	return "IPv4", "192.0.2.1"
}

// address checks that an address is of the type's family and means one place on every machine. An IPv4
// address in IPv6 notation is an IPv6 address: what is in the map are 16 bytes.
func (s *scalar) address(text string, a netip.Addr) string {
	name, _ := s.family()
	switch {
	case a.Zone() != "":
		return fmt.Sprintf("%q has a zone, which a map can't hold", text)
	case a.Is6() != s.isIPv6() && !s.isBoth():
		return fmt.Sprintf("%q is not an %s address", text, name)
	}
	return ""
}

func encodeIP(s *scalar, dst []byte, value literal) string {
	usual, ok := value.wordBytes()
	if !ok {
		return notIP(s, value)
	}
	if !s.isIPv6() {
		if a, ok := dotted(usual); ok {
			s.putAddr(dst, a)
			return ""
		}
	}
	text := string(usual)
	a, err := netip.ParseAddr(text)
	if err != nil && value.published {
		var single bool
		if a, single = publishedAddress(text); single {
			err = nil
		}
	}
	if err != nil {
		return notIP(s, value)
	}
	if msg := s.address(text, a); msg != "" {
		return msg
	}
	s.putAddr(dst, a)
	return ""
}

func notIP(s *scalar, value literal) string {
	name, example := s.family()
	return fmt.Sprintf("%s is not a valid %s address (such as %s)", value, name, example)
}

// dotted is an IPv4 address that is written as 192.0.2.1, which is parsed without a copy of the text. It takes
// nothing that netip doesn't.
func dotted(text []byte) (a netip.Addr, ok bool) {
	var four [4]byte
	for i := range four {
		var part []byte
		part, text, ok = bytes.Cut(text, []byte("."))
		if ok == (i == 3) || len(part) == 0 || len(part) > 3 || part[0] == '0' && len(part) > 1 || !isDigits(part) {
			return a, false
		}
		n := 0
		for _, c := range part {
			n = 10*n + int(c-'0')
		}
		if n > 255 {
			return a, false
		}
		four[i] = byte(n)
	}
	return netip.AddrFrom4(four), true
}

// putAddr writes an address of the type's family.
func (s *scalar) putAddr(dst []byte, a netip.Addr) {
	switch {
	case s.typ == v1alpha1.TypeIPv4Host:
		four := a.As4()
		binary.NativeEndian.PutUint32(dst, binary.BigEndian.Uint32(four[:]))
	case s.isIPv6(), s.isBoth() && a.Is6():
		sixteen := a.As16()
		copy(dst, sixteen[:])
	case s.isBoth():
		s.place(dst, a.As4())
	default:
		four := a.As4()
		copy(dst, four[:])
	}
}

// addrOf is the address in b, of the family in whose notation it is printed. Printed and read again, it makes
// the same bytes.
func (s *scalar) addrOf(b []byte) netip.Addr {
	var four [4]byte
	switch {
	case s.typ == v1alpha1.TypeIPv4Host:
		binary.BigEndian.PutUint32(four[:], binary.NativeEndian.Uint32(b))
		return netip.AddrFrom4(four)
	case s.isBoth():
		if four, ok := s.placed(b); ok {
			return netip.AddrFrom4(four)
		}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func appendIP(s *scalar, dst, b []byte) []byte { return s.addrOf(b).AppendTo(dst) }

// setPlacement sets where an address of both families has IPv4.
func (s *scalar) setPlacement(placement v1alpha1.IPv4Placement, path string) *Error {
	switch placement {
	case "":
		placement = v1alpha1.IPv4Mapped
	case v1alpha1.IPv4Mapped, v1alpha1.IPv4First, v1alpha1.IPv4Last:
	default:
		return errorf(path+".ipv4As", "invalid place %q, must be one of Mapped, First, Last", placement)
	}
	s.placement = placement
	return nil
}

// place writes an IPv4 address to its place in 16 bytes.
func (s *scalar) place(dst []byte, four [4]byte) {
	clear(dst[:16])
	switch s.placement {
	case v1alpha1.IPv4First:
		copy(dst, four[:])
		return
	case v1alpha1.IPv4Mapped:
		dst[10], dst[11] = 0xff, 0xff
	}
	copy(dst[12:], four[:])
}

// placed is the IPv4 address in 16 bytes, if they are printed as one. Under First and Last an IPv6 address may
// have the bytes of an IPv4 address. Those that somebody uses decide: with the other bytes zero, under First
// anything but :: is IPv4, under Last anything but ::1 and the like (0.0.0.0/8).
func (s *scalar) placed(b []byte) (four [4]byte, ok bool) {
	switch s.placement {
	case v1alpha1.IPv4First:
		four = [4]byte(b[:4])
		return four, isZero(b[4:16]) && four != [4]byte{}
	case v1alpha1.IPv4Last:
		return [4]byte(b[12:16]), isZero(b[:12]) && b[12] != 0
	}
	return [4]byte(b[12:16]), isZero(b[:10]) && b[10] == 0xff && b[11] == 0xff
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
