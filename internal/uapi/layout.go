// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package uapi

import (
	"fmt"
	"strconv"
	"strings"
)

// scalars are the sizes of the types that attributes have; each is aligned to its size.
var scalars = map[string]int{
	"__u8": 1, "__s8": 1, "char": 1, "__u16": 2, "__s16": 2, "__u32": 4, "__s32": 4, "int": 4, "__u64": 8, "__s64": 8,
	"__aligned_u64": 8, "__be32": 4, "__be16": 2,
}

// layout is a struct or union as far as it was read.
type layout struct {
	union   bool
	members []Member
	size    int
	align   int
}

// place finds room for something of a size and an alignment.
func (l *layout) place(size, align int) (offset int) {
	l.align = max(l.align, align)
	if l.union {
		l.size = max(l.size, size)
		return 0
	}
	offset = roundUp(l.size, align)
	l.size = offset + size
	return offset
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// body reads the members of a struct or union, behind its brace, and the closing brace.
func (p *parser) body(union bool) (layout, error) {
	l := layout{union: union, align: 1}
	for p.peek(0) != "}" {
		if p.peek(0) == "" {
			return l, fmt.Errorf("the header ends in a struct")
		}
		if err := p.member(&l); err != nil {
			return l, err
		}
	}
	p.next()
	l.size = roundUp(l.size, l.align)
	return l, nil
}

// member reads a member with its semicolon.
func (p *parser) member(l *layout) error {
	kind := p.next()
	if kind == "struct" || kind == "union" {
		return p.nested(l, kind == "union")
	}
	if kind == "unsigned" {
		kind = p.next()
	}
	size, ok := scalars[kind]
	if !ok {
		return fmt.Errorf("type %q isn't understood", kind)
	}
	if p.peek(0) == ":" { // padding
		p.next()
		bits, err := strconv.Atoi(p.next())
		if err != nil || bits%8 != 0 {
			return fmt.Errorf("a bit field of %d bits isn't understood", bits)
		}
		l.place(bits/8, size)
		return p.expect(";")
	}
	name := p.next()
	count := 1
	if p.peek(0) == "[" {
		p.next()
		var err error
		if count, err = p.count(p.next()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := p.expect("]"); err != nil {
			return err
		}
	}
	l.members = append(l.members, Member{name, l.place(count*size, size), count * size})
	return p.expect(";")
}

func (p *parser) count(token string) (int, error) {
	if n, ok := p.defines[token]; ok {
		return n, nil
	}
	n, err := strconv.Atoi(strings.TrimRight(token, "U"))
	if err != nil {
		return 0, fmt.Errorf("the length %q isn't understood", token)
	}
	return n, nil
}

// nested reads a struct or union in a struct. The members of one without a name are the outer struct's.
func (p *parser) nested(l *layout, union bool) error {
	if err := p.expect("{"); err != nil {
		return err
	}
	inner, err := p.body(union)
	if err != nil {
		return err
	}
	offset := l.place(inner.size, inner.align)
	if p.peek(0) == ";" {
		for _, m := range inner.members {
			m.Offset += offset
			l.members = append(l.members, m)
		}
	} else {
		l.members = append(l.members, Member{p.next(), offset, inner.size})
	}
	return p.expect(";")
}
