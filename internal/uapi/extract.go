// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package uapi

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Extract reads the text of a header. It knows as much of C as linux/bpf.h has; what it can't read is an error, so
// that nothing new is passed over.
func Extract(text string) (*Header, error) {
	p := &parser{tokens: tokens.FindAllString(withoutComments(text), -1), defines: defines(text)}
	h := &Header{}
	for len(p.tokens) > 0 {
		if err := p.declaration(h); err != nil {
			return nil, err
		}
	}
	for what, missing := range map[string]bool{
		"enum bpf_cmd": h.Commands == nil, "enum bpf_map_type": h.MapTypes == nil, "BPF_F_NO_PREALLOC": h.MapFlags == nil,
		"BPF_ANY": h.ElemFlags == nil, "union bpf_attr": h.Attributes == nil, "struct bpf_map_info": h.MapInfo.Members == nil,
	} {
		if missing {
			return nil, fmt.Errorf("%s isn't there: not a header of bpf(2)", what)
		}
	}
	return h, nil
}

var (
	comments   = regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*`)
	directives = regexp.MustCompile(`(?m)^[ \t]*#(?:[^\n]*\\\n)*[^\n]*$`)
	sizes      = regexp.MustCompile(`(?m)^#define[ \t]+(\w+)[ \t]+(\d+)U?[ \t]*$`)
	tokens     = regexp.MustCompile(`\w+|<<|[^\s\w]`)
)

func withoutComments(text string) string {
	return directives.ReplaceAllString(comments.ReplaceAllString(text, " "), "")
}

// defines are the macros that stand for numbers.
func defines(text string) map[string]int {
	all := map[string]int{}
	for _, m := range sizes.FindAllStringSubmatch(text, -1) {
		if n, err := strconv.Atoi(m[2]); err == nil {
			all[m[1]] = n
		}
	}
	return all
}

// parser is where a reading stands.
type parser struct {
	tokens  []string
	defines map[string]int
}

// peek is the token at i from here; empty at the end.
func (p *parser) peek(i int) string {
	if i < len(p.tokens) {
		return p.tokens[i]
	}
	return ""
}

func (p *parser) next() string {
	token := p.peek(0)
	p.tokens = p.tokens[min(1, len(p.tokens)):]
	return token
}

func (p *parser) expect(token string) error {
	if got := p.next(); got != token {
		return fmt.Errorf("%q is expected before %q", token, got+" "+strings.Join(p.tokens[:min(6, len(p.tokens))], " "))
	}
	return nil
}

// declaration reads what is ours, or skips one token.
func (p *parser) declaration(h *Header) error {
	switch kind, name := p.peek(0), p.peek(1); {
	case kind == "enum" && h.enum(name, p.peek(2)) != nil:
		to := h.enum(name, p.peek(2))
		p.tokens = p.tokens[1:]
		if name != "{" {
			p.next()
		}
		var err error
		*to, err = p.enum()
		return err
	case kind == "union" && name == "bpf_attr" && p.peek(2) == "{":
		p.tokens = p.tokens[3:]
		return p.attributes(h)
	case kind == "struct" && name == "bpf_map_info" && p.peek(2) == "{":
		p.tokens = p.tokens[3:]
		l, err := p.body(false)
		h.MapInfo = Struct{Name: name, Members: l.members}
		return err
	}
	p.next()
	return nil
}

// enum is where the constants of an enum of ours go; nil for others. Those of flags have no name and are told by
// their first constant.
func (h *Header) enum(name, first string) *[]Constant {
	switch {
	case name == "bpf_cmd":
		return &h.Commands
	case name == "bpf_map_type":
		return &h.MapTypes
	case name == "{" && first == "BPF_F_NO_PREALLOC":
		return &h.MapFlags
	case name == "{" && first == "BPF_ANY":
		return &h.ElemFlags
	}
	return nil
}

// enum reads a body, from its brace on.
func (p *parser) enum() ([]Constant, error) {
	if err := p.expect("{"); err != nil {
		return nil, err
	}
	var all []Constant
	numbers, names := map[string]uint64{}, map[uint64]bool{}
	for next := uint64(0); p.peek(0) != "}"; next++ {
		name := p.next()
		if p.peek(0) == "=" {
			p.next()
			n, err := p.expression(numbers)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			next = n
		}
		numbers[name] = next
		if !strings.HasPrefix(name, "__") && !names[next] {
			names[next] = true
			all = append(all, Constant{Name: name, Number: next})
		}
		if p.peek(0) == "," {
			p.next()
		} else if p.peek(0) != "}" {
			return nil, fmt.Errorf("%s: %q isn't understood", name, p.peek(0))
		}
	}
	p.next()
	return withoutDeprecated(all, numbers), nil
}

// withoutDeprecated gives constants that have a name for their deprecation their other name.
func withoutDeprecated(all []Constant, numbers map[string]uint64) []Constant {
	for i, c := range all {
		name, deprecated := strings.CutSuffix(c.Name, "_DEPRECATED")
		if n, ok := numbers[name]; deprecated && ok && n == c.Number {
			all[i].Name = name
		}
	}
	return all
}

// expression reads up to the comma or brace behind it: numbers, names and shifts of them.
func (p *parser) expression(numbers map[string]uint64) (uint64, error) {
	var value uint64
	shift := false
	for depth := 0; ; {
		token := p.peek(0)
		switch {
		case token == "":
			return 0, errors.New("the header ends in an enum")
		case depth == 0 && (token == "," || token == "}"):
			return value, nil
		case token == "(":
			depth++
		case token == ")":
			depth--
		case token == "<<":
			shift = true
		default:
			n, known := numbers[token]
			if !known {
				var err error
				if n, err = strconv.ParseUint(strings.TrimRight(token, "ULul"), 0, 64); err != nil {
					return 0, fmt.Errorf("%q isn't understood", token)
				}
			}
			if shift {
				n, shift = value<<n, false
			}
			value = n
		}
		p.next()
	}
}

// attributes reads the structs of union bpf_attr, behind its brace.
func (p *parser) attributes(h *Header) error {
	for p.peek(0) != "}" {
		if err := p.expect("struct"); err != nil {
			return fmt.Errorf("union bpf_attr: %w", err)
		}
		if err := p.expect("{"); err != nil {
			return fmt.Errorf("union bpf_attr: %w", err)
		}
		l, err := p.body(false)
		if err != nil {
			return fmt.Errorf("union bpf_attr: %w", err)
		}
		s := Struct{Members: l.members}
		if p.peek(0) != ";" {
			s.Name = p.next()
		}
		h.Attributes = append(h.Attributes, s)
		if err := p.expect(";"); err != nil {
			return fmt.Errorf("union bpf_attr: %w", err)
		}
	}
	return nil
}
