// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package uapi

import (
	"bufio"
	_ "embed" // newest.txt
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Header is what a header says.
type Header struct {
	// Kernel is the release, for example "7.2.13"; Origin is where the header comes from. Both may be empty.
	Kernel, Origin string
	// Commands, MapTypes, MapFlags and ElemFlags are the constants of enum bpf_cmd, of enum bpf_map_type, of map
	// creation (BPF_F_*) and of the element commands (BPF_ANY and so on), in their order. Names that stand for a
	// number that has a name already are left out, and so are ends of enums (__MAX_*).
	Commands, MapTypes, MapFlags, ElemFlags []Constant
	// Attributes are the structs in union bpf_attr, in their order.
	Attributes []Struct
	// MapInfo is struct bpf_map_info.
	MapInfo Struct
}

// Constant is a name and its number.
type Constant struct {
	Name   string
	Number uint64
}

// Struct is a struct of the kernel on an architecture of 64 bits. Name is empty for those of union bpf_attr that
// have none.
type Struct struct {
	Name    string
	Members []Member
}

// Member is a member of a struct with those of anonymous structs and unions in it. Offset and Size are in bytes.
type Member struct {
	Name         string
	Offset, Size int
}

// ID names a struct for people: its name, or that of its first member.
func (s *Struct) ID() string {
	if s.Name == "" && len(s.Members) > 0 {
		return s.Members[0].Name + "…"
	}
	return s.Name
}

// Has says whether a struct has all these members.
func (s *Struct) Has(members ...string) bool {
	for _, name := range members {
		if _, ok := s.Member(name); !ok {
			return false
		}
	}
	return true
}

// Member is the member with that name.
func (s *Struct) Member(name string) (Member, bool) {
	for _, m := range s.Members {
		if m.Name == name {
			return m, true
		}
	}
	return Member{}, false
}

//go:embed newest.txt
var newest string

// headerVariable is the environment variable that names a header to be read instead of newest.txt.
const headerVariable = "UAPI_HEADER"

// Newest is what the newest header says that was read, or the one that UAPI_HEADER names.
func Newest() (*Header, error) {
	path := os.Getenv(headerVariable)
	if path == "" {
		return Read(newest)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the header that %s names: %w", headerVariable, err)
	}
	h, err := Extract(string(text))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	h.Origin = path
	return h, nil
}

// Text is the header in the form that Read reads: a line for each fact, so that a change is a line of a diff.
func (h *Header) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "kernel %s\norigin %s\n", h.Kernel, h.Origin)
	for _, e := range h.enums() {
		fmt.Fprintf(&b, "enum %s\n", e.name)
		for _, c := range *e.constants {
			fmt.Fprintf(&b, "\t%s %d\n", c.Name, c.Number)
		}
	}
	for i := range h.Attributes {
		h.Attributes[i].write(&b, attribute)
	}
	h.MapInfo.write(&b, "struct")
	return b.String()
}

// attribute begins the line of a struct in union bpf_attr.
const attribute = "attribute"

func (s *Struct) write(b *strings.Builder, kind string) {
	fmt.Fprintf(b, "%s\n", strings.TrimSpace(kind+" "+s.Name))
	for _, m := range s.Members {
		fmt.Fprintf(b, "\t%s %d %d\n", m.Name, m.Offset, m.Size)
	}
}

// namedEnum is an enum's name in the text and where its constants are.
type namedEnum struct {
	name      string
	constants *[]Constant
}

func (h *Header) enums() []namedEnum {
	return []namedEnum{
		{"commands", &h.Commands}, {"map types", &h.MapTypes}, {"map flags", &h.MapFlags}, {"element flags", &h.ElemFlags},
	}
}

// Read reads what Text wrote.
func Read(text string) (*Header, error) {
	h := &Header{}
	r := reader{h: h}
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		if err := r.line(lines.Text()); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	return h, lines.Err()
}

// reader is where a reading stands: in an enum or a struct.
type reader struct {
	h    *Header
	enum *[]Constant
	in   *Struct
}

func (r *reader) line(line string) error {
	if fact, ok := strings.CutPrefix(line, "\t"); ok {
		return r.fact(strings.Fields(fact))
	}
	kind, rest, _ := strings.Cut(line, " ")
	r.enum, r.in = nil, nil
	switch kind {
	case "kernel":
		r.h.Kernel = rest
	case "origin":
		r.h.Origin = rest
	case "enum":
		for _, e := range r.h.enums() {
			if e.name == rest {
				r.enum = e.constants
				return nil
			}
		}
		return fmt.Errorf("unknown enum %q", rest)
	case attribute:
		r.h.Attributes = append(r.h.Attributes, Struct{Name: rest})
		r.in = &r.h.Attributes[len(r.h.Attributes)-1]
	case "struct":
		r.h.MapInfo.Name = rest
		r.in = &r.h.MapInfo
	default:
		return fmt.Errorf("unknown fact %q", line)
	}
	return nil
}

func (r *reader) fact(words []string) error {
	var numbers []uint64
	for _, w := range words[min(1, len(words)):] {
		n, err := strconv.ParseUint(w, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number: %w", w, err)
		}
		numbers = append(numbers, n)
	}
	switch {
	case r.enum != nil && len(numbers) == 1:
		*r.enum = append(*r.enum, Constant{words[0], numbers[0]})
	case r.in != nil && len(numbers) == 2:
		r.in.Members = append(r.in.Members, Member{words[0], int(numbers[0]), int(numbers[1])})
	default:
		return fmt.Errorf("%d numbers are out of place here", len(numbers))
	}
	return nil
}
