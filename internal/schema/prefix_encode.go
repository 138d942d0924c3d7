// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// encodePrefixField writes a prefix, and the prefix length at the beginning of the key: a range its first prefix.
// Only EncodeKeys takes ranges that are more than one.
func encodePrefixField(s *scalar, key []byte, value literal) string {
	p := s.prefix
	if p.span == nil {
		length, msg := p.write(p, p.bytes(key), value)
		if msg != "" {
			return msg
		}
		p.putLength(key, length)
		return ""
	}
	all, msg := p.span(p, value)
	if msg != "" {
		return msg
	}
	if !value.ranges {
		if n := all.count(); n > 1 {
			return fmt.Sprintf("%s is %d prefixes, and one is needed here", value, n)
		}
	}
	p.putFirst(key, &all)
	return ""
}

// putFirst writes the first prefix of a range into a key.
func (p *prefix) putFirst(key []byte, s *span) {
	from, length := s.first()
	p.putLength(key, p.put(p.bytes(key), from, length, s))
}

// put writes a prefix to dst and returns its length there: in 16 bytes an IPv4 address is not all.
func (p *prefix) put(dst []byte, from wide, length int, s *span) int {
	if !p.isAddress {
		from.put(dst)
		return length
	}
	a := from.addr(s.width)
	p.field.putAddr(dst, a)
	return p.field.prefixBits(netip.PrefixFrom(a, length))
}

// Keys are the keys that a declared one stands for, beyond the first. The zero value is none.
type Keys struct {
	prefix *prefix
	rest   span
}

// Next makes a key, which is the one before, the next one; false if there is none.
func (k *Keys) Next(key []byte) bool {
	if k.prefix == nil || !k.rest.skip() {
		return false
	}
	k.prefix.putFirst(key, &k.rest)
	return true
}

// Count is how many keys there are, the first one among them, before Next was called.
func (k *Keys) Count() int {
	if k.prefix == nil {
		return 1
	}
	return k.rest.count()
}

// EncodeKeys is Encode for keys, which may be written in more ways. Of them, a range of addresses or numbers in an LPM trie
// is several: the fewest prefixes that make up the range. dst holds the first of them; the others follow by Next.
func (l *Layout) EncodeKeys(dst, raw []byte, how Reading) (Keys, error) {
	p := l.prefix
	if bytes.IndexByte(raw, '-') < 0 || l.ranges == nil && (p == nil || p.span == nil) {
		return Keys{}, l.encodeText(dst, raw, how)
	}
	value, err := l.checked(dst, raw, how)
	if err != nil {
		return Keys{}, err
	}
	if p == nil {
		return l.encodeRange(dst, value)
	}
	value.ranges = true
	if err := l.encode(dst, value); err != nil {
		return Keys{}, err
	}
	last, ok := l.prefixValue(value)
	if !ok {
		return Keys{}, nil
	}
	all, msg := p.span(p, last)
	if msg != "" {
		return Keys{}, nil // {"$hex": …} in the place of the key
	}
	return Keys{p, all}, nil
}

// encodeRange encodes a range of addresses where the type holds the prefix length.
func (l *Layout) encodeRange(dst []byte, value literal) (Keys, error) {
	text, isText := value.word()
	if !isText || !strings.Contains(text, "-") {
		if err := l.encode(dst, value); err != nil {
			return Keys{}, err
		}
		return Keys{}, nil
	}
	all, msg := l.ranges.span(l.ranges, value)
	if msg != "" {
		return Keys{}, errorf("", "%s", msg)
	}
	l.ranges.putFirst(dst, &all)
	return Keys{l.ranges, all}, nil
}

// checked is raw as a literal.
func (l *Layout) checked(dst, raw []byte, how Reading) (literal, error) {
	if len(dst) != l.size {
		return literal{}, errorf("", "%d bytes of room for %d bytes", len(dst), l.size)
	}
	value, err := rawjson.Check(raw)
	if err != nil {
		return literal{}, errorf("", "is not valid JSON: %v", err)
	}
	return literal{raw: value, cells: how.Cells, published: how.Published, mask: how.MaskHostBits}, nil
}

// prefixValue is what a key's value says of the prefix.
func (l *Layout) prefixValue(value literal) (literal, bool) {
	if len(l.fields) == 0 {
		return value, true
	}
	n := len(l.fields) - 1
	for w := rawjson.Walk(value.raw); ; {
		quoted, member, _, ok := w.Member()
		if !ok {
			return literal{}, false
		}
		if i, _ := l.fieldNamed(quoted); i == n {
			value.raw = member
			return value, true
		}
	}
}

// room is where the layout of a field reads in the bytes of its struct.
func (f *field) room(b []byte) []byte { return b[f.start : f.offset+f.layout.size] }
