// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// NewLinked is New for entries whose names nodes resolve. Encode then writes a link's Symbol where the
// name stands, and calls collect with each link. Layouts of New take no names, but the numbers that
// names stand for on this node.
func NewLinked(s *v1alpha1.Schema, collect func(v1alpha1.Reference)) (*Layout, error) {
	l, err := New(s)
	if err != nil {
		return nil, err
	}
	l.collect(collect)
	return l, nil
}

func (l *Layout) collect(to func(v1alpha1.Reference)) {
	if l.scalar != nil && l.scalar.linked {
		l.scalar.collect = to
	}
	for _, f := range l.fields {
		f.layout.collect(to)
	}
}

// Symbol stands for a link in packed entries: four bytes of a SHA-256 over type and name, so that it
// depends on nothing else, and never 0, which stands for no link.
func Symbol(l v1alpha1.Reference) uint32 {
	sum := sha256.Sum256([]byte(string(l.Type) + "\x00" + l.Name))
	return max(binary.BigEndian.Uint32(sum[:]), 1)
}

// LinkField is a place in the bytes where a link stands.
type LinkField struct {
	Type v1alpha1.ScalarType
	// Offset and Size are in bytes.
	Offset, Size int
}

// Links are the places of links, in the order of their offsets.
func (l *Layout) Links() []LinkField {
	var links []LinkField
	for i := range max(l.count, 1) {
		at := i * l.elem
		if l.scalar != nil {
			if l.scalar.linked {
				links = append(links, LinkField{l.scalar.typ, at, l.scalar.size})
			}
			continue
		}
		for _, f := range l.fields {
			for _, link := range f.layout.Links() {
				link.Offset += at + f.offset
				links = append(links, link)
			}
		}
	}
	return links
}

// Symbol is what stands at the place in b.
func (f LinkField) Symbol(b []byte) uint32 {
	return binary.NativeEndian.Uint32(b[f.Offset:])
}

// Put writes what a link stands for on a node to its place in b.
func (f LinkField) Put(b []byte, target uint64) {
	if f.Size == 8 {
		binary.NativeEndian.PutUint64(b[f.Offset:], target)
		return
	}
	binary.NativeEndian.PutUint32(b[f.Offset:], uint32(target))
}

// Get reads what is at the place in b.
func (f LinkField) Get(b []byte) uint64 {
	if f.Size == 8 {
		return binary.NativeEndian.Uint64(b[f.Offset:])
	}
	return uint64(binary.NativeEndian.Uint32(b[f.Offset:]))
}

// SpinLocks are the offsets of the value's spin locks; nested says that one of them isn't a direct
// member of the outermost struct, where the kernel wants it.
func (l *Layout) SpinLocks() (offsets []int, nested bool) {
	for _, f := range l.fields {
		direct := f.layout.isSpinLock()
		if direct && f.layout.count == 0 && l.count == 0 {
			offsets = append(offsets, f.offset)
			continue
		}
		below, _ := f.layout.SpinLocks()
		if direct {
			below = []int{0}
		}
		for _, offset := range below {
			offsets, nested = append(offsets, f.offset+offset), true
		}
	}
	return offsets, nested
}

func (l *Layout) isSpinLock() bool {
	return l.scalar != nil && l.scalar.typ == v1alpha1.TypeSpinLock
}

// Named lets l print links by name: name is asked what a number stands for on this node. What it doesn't
// know is printed as a number.
func (l *Layout) Named(name func(v1alpha1.ScalarType, uint64) (string, bool)) {
	if l.scalar != nil && l.scalar.linked {
		l.scalar.name = name
	}
	for _, f := range l.fields {
		f.layout.Named(name)
	}
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
	return s.name(s.typ, s.get(b))
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
func encodeLink(s *scalar, dst []byte, value any) string {
	if s.collect == nil {
		if _, isNumber := value.(json.Number); !isNumber {
			return fmt.Sprintf("%s is no number: what a name stands for is found on the node, where a manifest is applied", show(value))
		}
		return encodeInteger(s, dst, value)
	}
	name, ok := value.(string)
	if !ok {
		return fmt.Sprintf("%s is no string: %s", show(value), linkKinds[s.typ].what)
	}
	if name == "" && s.typ == v1alpha1.TypeProgPin {
		return "" // no program
	}
	if len(name) > v1alpha1.MaxReferenceName {
		return fmt.Sprintf("has %d characters, at most %d are possible", len(name), v1alpha1.MaxReferenceName)
	}
	if !linkKinds[s.typ].valid(name) {
		return fmt.Sprintf("%s is not %s", show(name), linkKinds[s.typ].what)
	}
	link := v1alpha1.Reference{Type: s.typ, Name: name}
	s.put(dst, uint64(Symbol(link)))
	s.collect(link)
	return ""
}

// encodeSpinLock refuses every value: whoever takes the lock writes it.
func encodeSpinLock(_ *scalar, _ []byte, value any) string {
	return show(value) + " is given for a spin lock, which the kernel alone writes: leave the field out"
}

var linkKinds = map[v1alpha1.ScalarType]struct {
	what  string
	valid func(string) bool
}{
	v1alpha1.TypeIfindex:  {"the name of a network interface (at most 15 characters, without '/' and blanks)", isInterface},
	v1alpha1.TypeMapRef:   {"the name of a BPFMap of the same namespace", isObjectName},
	v1alpha1.TypeProgPin:  {"the path of a pinned program, relative to the BPF file system, without '.', which that reserves", isPinPath},
	v1alpha1.TypeCgroup:   {"the path of a cgroup, relative to the cgroup2 mount ('/' for the root)", isCgroup},
	v1alpha1.TypeCgroupID: {"the path of a cgroup, relative to the cgroup2 mount ('/' for the root)", isCgroup},
}

// maxInterface is IFNAMSIZ without the NUL.
const maxInterface = 15

// isInterface is the kernel's dev_valid_name.
func isInterface(name string) bool {
	return len(name) <= maxInterface && name != "." && name != ".." && !strings.ContainsAny(name, "/: \t\n\v\f\r\x00") && name != ""
}

// isObjectName is a DNS subdomain of at most the length of a BPFMap's name.
func isObjectName(name string) bool {
	if len(name) > 200 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
	}
	return true
}

func isPinPath(name string) bool {
	return !path.IsAbs(name) && path.Clean(name) == name && !strings.ContainsAny(name, ".\x00")
}

func isCgroup(name string) bool {
	elements := strings.Split(strings.Trim(name, "/"), "/")
	return name == "/" || !strings.ContainsRune(name, 0) && path.Clean("/"+name) == "/"+strings.Trim(name, "/") && !slices.Contains(elements, "..") && elements[0] != ""
}
