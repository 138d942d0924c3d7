// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// addressSpan takes "10.0.0.0/8", and "10.0.0.1-10.0.0.9" for a range of addresses of one family.
func addressSpan(p *prefix, value literal) (span, string) {
	s := &p.field
	raw, ok := value.wordBytes()
	if parsed, dotted := dottedPrefix(raw); dotted && ok && !s.isIPv6() {
		return spanOf(parsed), ""
	}
	text := string(raw)
	if !ok {
		name, _ := s.family()
		return span{}, fmt.Sprintf("%s is not a valid %s prefix (such as %s)", value, name, s.prefixExample())
	}
	if from, to, ok := strings.Cut(text, "-"); ok {
		return p.addressRange(text, from, to)
	}
	parsed, msg := s.parsePrefix(text, value)
	if msg != "" {
		return span{}, msg
	}
	return spanOf(parsed), ""
}

// spanOf are the addresses of a prefix.
func spanOf(p netip.Prefix) span {
	a := p.Addr()
	from := wideOfAddr(a)
	return span{from, from.or(ones(a.BitLen() - p.Bits())), a.BitLen()}
}

func wideOfAddr(a netip.Addr) wide {
	if a.Is4() {
		b := a.As4()
		return wideOf(b[:])
	}
	b := a.As16()
	return wideOf(b[:])
}

// addr is the inverse, of an address of that many bits.
func (w wide) addr(bits int) netip.Addr {
	var full [16]byte
	w.put(full[:])
	if bits == 32 {
		return netip.AddrFrom4([4]byte(full[12:]))
	}
	return netip.AddrFrom16(full)
}

func (p *prefix) addressRange(text, from, to string) (span, string) {
	first, msg := p.endOfRange(text, from)
	if msg != "" {
		return span{}, msg
	}
	last, msg := p.endOfRange(text, to)
	switch {
	case msg != "":
		return span{}, msg
	case first.Is4() != last.Is4():
		return span{}, fmt.Sprintf("%q begins in one address family and ends in the other", text)
	case last.Less(first):
		return span{}, fmt.Sprintf("%q ends before it begins (did you mean %s-%s?)", text, last, first)
	}
	return span{wideOfAddr(first), wideOfAddr(last), first.BitLen()}, ""
}

// endOfRange is one of the two addresses of a range.
func (p *prefix) endOfRange(text, end string) (netip.Addr, string) {
	end = strings.TrimSpace(end)
	a, err := netip.ParseAddr(end)
	if err != nil {
		name, example := p.field.family()
		return a, rangeProblem(text, fmt.Sprintf("%q is not a valid %s address (such as %s)", end, name, example))
	}
	return a, p.field.address(end, a)
}

// integerSpan takes a number, "8000-8999" for a range, and "8000/10" for what begins with the first 10 bits of 8000.
func integerSpan(p *prefix, value literal) (span, string) {
	text, isText := value.word()
	if isText {
		if i := strings.IndexByte(text, '-'); i > 0 {
			return p.integerRange(text, text[:i], text[i+1:])
		}
		if number, length, ok := strings.Cut(text, "/"); ok {
			return p.integerPrefix(text, number, length)
		}
	}
	number, msg := p.field.integerOf(value)
	if msg != "" {
		return span{}, msg
	}
	n := wide{0, number}
	return span{from: n, to: n, width: 8 * p.field.size}, ""
}

func (p *prefix) integerRange(text, from, to string) (span, string) {
	first, msg := p.field.parse(strings.TrimSpace(from))
	if msg != "" {
		return span{}, rangeProblem(text, msg)
	}
	last, msg := p.field.parse(strings.TrimSpace(to))
	if msg != "" {
		return span{}, rangeProblem(text, msg)
	}
	if last < first {
		return span{}, fmt.Sprintf("%q ends before it begins (did you mean %d-%d?)", text, last, first)
	}
	return span{from: wide{0, first}, to: wide{0, last}, width: 8 * p.field.size}, ""
}

func rangeProblem(text, msg string) string { return fmt.Sprintf("%q: %s", text, msg) }

func (p *prefix) integerPrefix(text, number, length string) (span, string) {
	n, msg := p.field.parse(strings.TrimSpace(number))
	if msg != "" {
		return span{}, rangeProblem(text, msg)
	}
	width := 8 * p.field.size
	l, msg := lengthOf(text, length, width)
	if msg != "" {
		return span{}, msg
	}
	from, free := wide{0, n}, ones(width-l)
	if masked := from.andNot(free); masked != from {
		return span{}, fmt.Sprintf("%q has bits set behind its prefix length (did you mean %d/%d, or %d?)", text, masked.low, l, n)
	}
	return span{from: from, to: from.or(free), width: width}, ""
}

// lengthOf is a prefix length in bits.
func lengthOf(text, length string, most int) (int, string) {
	n, err := strconv.ParseUint(length, 10, 32)
	if err != nil && !isRange(err) {
		return 0, fmt.Sprintf("%q: %q is not a prefix length (0…%d)", text, length, most)
	}
	if err != nil || n > uint64(most) {
		return 0, fmt.Sprintf("%q: prefix length %s is out of range (0…%d)", text, length, most)
	}
	return int(n), ""
}

// writeStringPrefix takes what keys begin with.
func writeStringPrefix(p *prefix, dst []byte, value literal) (int, string) {
	if msg := encodeString(&p.field, dst, value); msg != "" {
		return 0, msg
	}
	text, _ := value.text()
	return 8 * len(text), ""
}

// writeHexPrefix takes "0a01/16": the bytes that keys begin with, and how many bits of them count.
func writeHexPrefix(p *prefix, dst []byte, value literal) (int, string) {
	text, ok := value.word()
	if !ok || rawjson.IsNumber(value.raw) {
		return 0, value.String() + " is not a prefix of hex digits (such as \"0a01/16\")"
	}
	digits, length, found := strings.Cut(text, "/")
	bare, _ := cutHexPrefix(digits)
	b, err := hex.DecodeString(hexSeparators.Replace(bare))
	most := 8 * p.field.size
	switch {
	case err != nil:
		return 0, fmt.Sprintf("%q is not a prefix of pairs of hex digits (such as 0a01/16)", text)
	case len(b) > p.field.size:
		return 0, fmt.Sprintf("%s is %d bytes long, more than size %d", value, len(b), p.field.size)
	case !found:
		return 0, fmt.Sprintf("%q has no prefix length (did you mean %s/%d?)", text, digits, 8*len(b))
	}
	n, msg := lengthOf(text, length, most)
	if msg != "" {
		return 0, msg
	}
	copy(dst, b)
	if masked := maskedBits(dst, n); string(masked) != string(dst) {
		return 0, fmt.Sprintf("%q has bits set behind its prefix length (did you mean %x/%d, or %x/%d?)", text, masked[:(n+7)/8], n, b, 8*len(b))
	}
	return n, ""
}

// maskedBits is b with nothing but its first bits, a copy.
func maskedBits(b []byte, length int) []byte {
	masked := make([]byte, len(b))
	copy(masked, b[:(length+7)/8])
	if part := length % 8; part > 0 {
		masked[length/8] &= ^(byte(0xff) >> part)
	}
	return masked
}
