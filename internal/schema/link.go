// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// NewLinked is New for entries whose names nodes resolve. Encode then writes a link's Symbol where the
// name stands, and calls collect with each link. Layouts of New take no names, but the numbers that
// names stand for on this node.
func NewLinked(s *v1alpha1.Schema, collect func(v1alpha1.Reference)) (*Layout, error) {
	return newChecked(s, builder{collect: collect})
}

// Symbol stands for a link in packed entries: four bytes of a SHA-256 over type and name, so that it
// depends on nothing else, and never 0, which stands for no link.
func Symbol(l v1alpha1.Reference) uint32 {
	sum := sha256.Sum256([]byte(string(l.Type) + "\x00" + l.Name))
	return max(binary.BigEndian.Uint32(sum[:]), 1)
}

// ReferenceField is a place in the bytes where a link stands.
type ReferenceField struct {
	Type v1alpha1.ScalarType
	// Offset and Size are in bytes.
	Offset, Size int
	// InUnion says that another member of a union may be in these bytes: what is no symbol of a link there is left
	// as it is.
	InUnion bool
}

// MaxReferenceFields bounds the places of references in one key or value. An array counts as many times as it has
// elements.
const MaxReferenceFields = 4096

// countLinks is how many places References has, without listing them. It can't overflow: each place takes
// bytes, and their number is bounded by MaxSize.
func (l *Layout) countLinks() int {
	if l.of != nil {
		return l.count * l.of.countLinks()
	}
	n := 0
	if l.scalar != nil && l.scalar.linked {
		n = 1
	}
	for i := range l.fields {
		n += l.fields[i].layout.countLinks()
	}
	return n
}

// References are the places of references, in the order of their offsets; at most MaxReferenceFields.
func (l *Layout) References() []ReferenceField { return l.appendLinks(nil, 0, false) }

func (l *Layout) appendLinks(links []ReferenceField, offset int, inUnion bool) []ReferenceField {
	switch {
	case l.countLinks() == 0:
	case l.of != nil:
		for range l.count {
			links = l.of.appendLinks(links, offset, inUnion)
			offset += l.of.size
		}
	case l.scalar != nil:
		links = append(links, ReferenceField{l.scalar.typ, offset, l.scalar.size, inUnion})
	default:
		for i := range l.fields {
			links = l.fields[i].layout.appendLinks(links, offset+l.fields[i].offset, inUnion || l.union)
		}
	}
	return links
}

// Symbol is what stands at the place in b: the number there, which is as wide as the field. On a big-endian machine,
// the first four of its eight bytes are zero.
func (f ReferenceField) Symbol(b []byte) uint32 { return uint32(f.Get(b)) }

// Put writes what a link stands for on a node to its place in b.
func (f ReferenceField) Put(b []byte, target uint64) {
	if f.Size == 8 {
		binary.NativeEndian.PutUint64(b[f.Offset:], target)
		return
	}
	binary.NativeEndian.PutUint32(b[f.Offset:], uint32(target))
}

// Get reads what is at the place in b.
func (f ReferenceField) Get(b []byte) uint64 {
	if f.Size == 8 {
		return binary.NativeEndian.Uint64(b[f.Offset:])
	}
	return uint64(binary.NativeEndian.Uint32(b[f.Offset:]))
}

// SpinLocks are the offsets of the value's spin locks; nested says that one of them isn't a direct
// member of the outermost struct, where the kernel wants it.
func (l *Layout) SpinLocks() (offsets []int, nested bool) {
	switch {
	case l.isSpinLock():
		return []int{0}, true
	case l.of != nil:
		offsets, _ = l.of.SpinLocks()
		return offsets, len(offsets) > 0
	}
	for _, f := range l.fields {
		below, _ := f.layout.SpinLocks()
		for _, offset := range below {
			offsets = append(offsets, f.offset+offset)
		}
		nested = nested || len(below) > 0 && (l.union || !f.layout.isSpinLock())
	}
	return offsets, nested
}

func (l *Layout) isSpinLock() bool {
	return l.scalar != nil && l.scalar.typ == v1alpha1.TypeSpinLock
}

// Named is l that prints links by name: name is asked what a number stands for on this node. What it
// doesn't know is printed as a number.
func (l *Layout) Named(name func(v1alpha1.ScalarType, uint64) (string, bool)) *Layout {
	named := *l
	if l.scalar != nil && l.scalar.linked {
		s := *l.scalar
		s.name = name
		named.scalar = &s
	}
	if l.of != nil {
		named.of = l.of.Named(name)
	}
	named.fields = slices.Clone(l.fields)
	for i := range named.fields {
		named.fields[i].layout = named.fields[i].layout.Named(name)
	}
	return &named
}

func linked(typ v1alpha1.ScalarType, size int) scalar {
	s := integer(typ, size, false, binary.NativeEndian)
	s.linked, s.encode, s.appendText, s.appendJSON = true, encodeLink, appendLinkText, appendLinkJSON
	return s
}

// nameOf is what b stands for, if that is known.
func (s *scalar) nameOf(b []byte) (string, bool) {
	if s.name == nil {
		return "", false
	}
	name, ok := s.name(s.typ, s.get(b))
	return name, ok && (!isDigits(name) || !hasNumbers(s.typ)) // which would be read as a number
}

func appendLinkText(s *scalar, dst, b []byte) []byte {
	if name, ok := s.nameOf(b); ok {
		return append(dst, name...)
	}
	return appendInteger(s, dst, b)
}

func appendLinkJSON(s *scalar, dst, b []byte) []byte {
	if name, ok := s.nameOf(b); ok {
		return strconv.AppendQuote(dst, name)
	}
	return appendIntegerJSON(s, dst, b)
}

// encodeLink writes a name's symbol, or without a collector a number.
func encodeLink(s *scalar, dst []byte, value literal) string {
	if s.takesNumber(value) {
		return encodeLinkNumber(s, dst, value)
	}
	if s.collect == nil {
		return value.String() + " is not a number: what a name stands for is found on the node, where a manifest is applied"
	}
	name, ok := value.word()
	if !ok {
		return fmt.Sprintf("%s is not a string: %s is required", value, linkKinds[s.typ].what)
	}
	if name == "" && s.typ == v1alpha1.TypeProgPin {
		return "" // no program
	}
	if len(name) > v1alpha1.MaxReferenceName {
		return fmt.Sprintf("has %d characters, at most %d are possible", len(name), v1alpha1.MaxReferenceName)
	}
	if !linkKinds[s.typ].valid(name) {
		return fmt.Sprintf("%s is not %s", value, linkKinds[s.typ].what)
	}
	s.link(dst, name)
	return ""
}

// link writes the symbol of a name.
func (s *scalar) link(dst []byte, name string) {
	link := v1alpha1.Reference{Type: s.typ, Name: name}
	s.put(dst, uint64(Symbol(link)))
	s.collect(link)
}

// encodeSpinLock refuses every value: only the kernel writes a lock.
func encodeSpinLock(_ *scalar, _ []byte, value literal) string {
	return value.String() + " is given for a spin lock, which only the kernel writes: leave the field out"
}

var linkKinds = map[v1alpha1.ScalarType]struct {
	what  string
	valid func(string) bool
}{
	v1alpha1.TypeIfindex:  {"the name of a network interface (at most 15 characters, without '/' and blanks), or a number", isInterface},
	v1alpha1.TypeMapRef:   {"the name of a BPFMap of the same namespace", isObjectName},
	v1alpha1.TypeProgPin:  {"the path of a pinned program, relative to the BPF file system, without '.', which that reserves", isPinPath},
	v1alpha1.TypeCgroup:   {"the path of a cgroup, relative to the cgroup2 mount ('/' for the root)", isCgroup},
	v1alpha1.TypeCgroupID: {"the path of a cgroup, relative to the cgroup2 mount ('/' for the root), or a number", isCgroup},
}

// maxInterface is IFNAMSIZ without the NUL.
const maxInterface = 15

// isInterface is the kernel's dev_valid_name.
func isInterface(name string) bool {
	return len(name) <= maxInterface && name != "." && name != ".." && !strings.ContainsAny(name, "/: \t\n\v\f\r\x00") && name != ""
}

// maxObjectName is the longest name of a BPFMap.
const maxObjectName = 200

func isObjectName(name string) bool {
	return len(name) <= maxObjectName && len(validation.IsDNS1123Subdomain(name)) == 0
}

func isPinPath(name string) bool {
	return !path.IsAbs(name) && path.Clean(name) == name && !strings.ContainsAny(name, ".\x00")
}

func isCgroup(name string) bool {
	elements := strings.Split(strings.Trim(name, "/"), "/")
	return name == "/" || !strings.ContainsRune(name, 0) && path.Clean("/"+name) == "/"+strings.Trim(name, "/") && !slices.Contains(elements, "..") && elements[0] != ""
}
