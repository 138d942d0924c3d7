// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// Reading says how a key is written.
type Reading struct {
	// Cells says that strings are cells of a table (EncodeCells).
	Cells bool
	// Published takes addresses as published lists write them: a single address for the prefix of its whole length
	// and the other way round, and an address with a netmask (192.0.2.0/255.255.255.0) or a wildcard (192.0.2.0/0.0.0.255).
	Published bool
	// MaskHostBits clears the bits behind a prefix length, which are an error otherwise.
	MaskHostBits bool
}

// publishedPrefix reads an address with or without a prefix length or a netmask. It is not ok for anything else, of which
// parsePrefix says what is wrong.
func (s *scalar) publishedPrefix(text string, mask bool) (p netip.Prefix, msg string, ok bool) {
	addr, length, found := strings.Cut(text, "/")
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return p, "", false
	}
	if msg := s.address(addr, a); msg != "" {
		return p, msg, true
	}
	switch {
	case !found:
		return netip.PrefixFrom(a, a.BitLen()), "", true
	case strings.ContainsAny(length, ".:"):
		if p, msg = netmaskPrefix(text, a, length); msg != "" {
			return p, msg, true
		}
	default:
		if p, err = netip.ParsePrefix(text); err != nil {
			return p, "", false
		}
	}
	masked := p.Masked()
	if masked != p && !mask {
		return p, hostBits(text, p), true
	}
	return masked, "", true
}

// hostBits is what is wrong with a prefix that has bits behind its length.
func hostBits(text string, p netip.Prefix) string {
	return fmt.Sprintf("%q has host bits set (did you mean %s, or %s/%d?)", text, p.Masked(), p.Addr(), p.Addr().BitLen())
}

// netmaskPrefix is an address with a netmask, whose first bits are set, or a wildcard, whose last bits are. No bits and all
// bits are both: then it is the one that leaves no host bits, and for the address of all zeros nobody knows.
func netmaskPrefix(text string, a netip.Addr, netmask string) (netip.Prefix, string) {
	m, err := netip.ParseAddr(netmask)
	if err != nil || m.Is4() != a.Is4() || m.Zone() != "" {
		return netip.Prefix{}, fmt.Sprintf("%q: %q is not a netmask of the address", text, netmask)
	}
	width := a.BitLen()
	bits := wideOfAddr(m)
	free, isMask := onesIn(ones(width).andNot(bits))
	wild, isWildcard := onesIn(bits)
	byMask, byWildcard := netip.PrefixFrom(a, width-free), netip.PrefixFrom(a, width-wild)
	switch {
	case !isMask && !isWildcard:
		return netip.Prefix{}, fmt.Sprintf("%q: %s is neither a netmask nor a wildcard: its set bits aren't the first or the last ones", text, netmask)
	case isMask && isWildcard && a.IsUnspecified():
		return netip.Prefix{}, fmt.Sprintf("%q means %s as a netmask and %s as a wildcard: write the one that is meant", text, byMask, byWildcard)
	case !isMask, isWildcard && byMask.Masked() != byMask:
		return byWildcard, ""
	}
	return byMask, ""
}

// onesIn says how many of the last bits of w are set, if no others are.
func onesIn(w wide) (n int, ok bool) {
	n = w.next().trailingZeros()
	return n, ones(n) == w
}

// publishedAddress is the address of a prefix that has just one.
func publishedAddress(text string) (netip.Addr, bool) {
	p, err := netip.ParsePrefix(text)
	return p.Addr(), err == nil && p.IsSingleIP()
}

// otherFamilies are the types of one address family and the same of the other one.
var otherFamilies = map[v1alpha1.ScalarType]v1alpha1.ScalarType{
	v1alpha1.TypeIPv4: v1alpha1.TypeIPv6, v1alpha1.TypeIPv4Host: v1alpha1.TypeIPv6, v1alpha1.TypeIPv6: v1alpha1.TypeIPv4,
	v1alpha1.TypeIPv4Prefix: v1alpha1.TypeIPv6, v1alpha1.TypeIPv6Prefix: v1alpha1.TypeIPv4,
}

// HasOneFamily says whether l holds addresses of IPv4 alone, or of IPv6 alone.
func (l *Layout) HasOneFamily() bool {
	if l.scalar != nil {
		return otherFamilies[l.scalar.typ] != ""
	}
	for i := range l.fields {
		if s := l.fields[i].layout.scalar; s != nil && otherFamilies[s.typ] != "" {
			return true
		}
	}
	return false
}

// IsOtherFamily says whether a key that can't be encoded has an address, a prefix or a range of the family that l doesn't
// hold.
func (l *Layout) IsOtherFamily(raw []byte, cells bool) bool {
	raw, err := rawjson.Check(raw)
	if err != nil {
		return false
	}
	value := literal{raw: raw, cells: cells, published: true, mask: true, ranges: true}
	if l.scalar != nil {
		return l.scalar.isOfOtherFamily(value)
	}
	if len(l.fields) == 0 || !rawjson.IsObject(raw) {
		return false
	}
	for w := rawjson.Walk(raw); ; {
		quoted, member, _, ok := w.Member()
		if !ok {
			return false
		}
		i, _ := l.fieldNamed(quoted)
		if i < 0 {
			continue
		}
		if s := l.fields[i].layout.scalar; s != nil && s.isOfOtherFamily(value.with(member)) {
			return true
		}
	}
}

func (s *scalar) isOfOtherFamily(value literal) bool {
	other, ok := otherFamilies[s.typ]
	if !ok {
		return false
	}
	_, msg := addressSpan(newPrefix(scalars[other], prefixLength), value)
	return msg == ""
}
