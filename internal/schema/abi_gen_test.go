// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// generated is a schema, the same declaration in C, a value, and statements that assign it to v.
type generated struct {
	schema      *v1alpha1.Schema
	layout      *schema.Layout
	declaration string
	value       string
	assignments string
	// paths are the members that have an offset, as offsetof takes them.
	paths []string
}

// generator makes schemas at random.
type generator struct {
	r *rand.Rand
	// out is what is being made, and quiet that values are made which aren't assigned.
	out   *generated
	names int
}

// next is a schema of struct sN.
func (g *generator) next(n int) generated {
	g.out = &generated{}
	g.names = 0
	var err error
	for g.out.layout == nil {
		g.out.schema = g.structure(3)
		// What can't be laid out was generated in vain: an array that is too large, say.
		if g.out.layout, err = schema.New(g.out.schema); err != nil {
			panic(fmt.Sprintf("%v: %+v", err, g.out.schema))
		}
	}
	g.out.declaration = "typedef " + g.declare(g.out.schema, g.out.layout, "\t") + fmt.Sprintf(" s%d", n)
	g.out.value = g.object(g.out.schema, "v")
	g.offsets(g.out.schema, "")
	return *g.out
}

func (g *generator) oneIn(n int) bool { return g.r.IntN(n) == 0 }

func (g *generator) name() string {
	g.names++
	return "f" + strconv.Itoa(g.names)
}

var alignments = []int32{1, 2, 4, 8, 16, 32}

// structure is a struct or union, with others in it to that depth.
func (g *generator) structure(depth int) *v1alpha1.Schema {
	s := &v1alpha1.Schema{Union: g.oneIn(5), Packed: g.oneIn(4)}
	if g.oneIn(8) {
		s.Align = alignments[g.r.IntN(len(alignments))]
	}
	// Bit-fields come in runs: it is their neighbours that matter.
	bits := g.oneIn(2)
	valued := false
	for len(s.Fields) < 1+g.r.IntN(8) || !valued {
		f := g.field(depth, bits && !g.oneIn(4))
		if f.Type == v1alpha1.TypePadding && s.Union {
			continue // C has no unnamed members for it
		}
		valued = valued || f.Type != v1alpha1.TypePadding
		s.Fields = append(s.Fields, f)
	}
	return s
}

var bitTypes = []v1alpha1.ScalarType{
	v1alpha1.TypeU8, v1alpha1.TypeU16, v1alpha1.TypeU32, v1alpha1.TypeU64,
	v1alpha1.TypeI8, v1alpha1.TypeI16, v1alpha1.TypeI32, v1alpha1.TypeI64, v1alpha1.TypeBool, v1alpha1.TypePadding,
}

func (g *generator) field(depth int, bits bool) v1alpha1.Field {
	f := v1alpha1.Field{Name: g.name()}
	switch {
	case bits:
		f.Type = bitTypes[g.r.IntN(len(bitTypes))]
		widest := 1
		switch {
		case f.Type == v1alpha1.TypePadding:
			widest = 40
		case f.Type != v1alpha1.TypeBool:
			widest = 8 * widthOf(f.Type)
		}
		f.Bits = int32(1 + g.r.IntN(widest))
		if g.oneIn(2) {
			f.Bits = min(f.Bits, int32(1+g.r.IntN(7)))
		}
	case depth > 1 && g.oneIn(4):
		f.Schema = *g.structure(depth - 1)
	default:
		f.Type = scalarTypes[g.r.IntN(len(scalarTypes))]
		if _, sized := cTypes[f.Type]; !sized {
			f.Size = int32(1 + g.r.IntN(9))
		}
		if g.oneIn(6) && f.Type != v1alpha1.TypePadding {
			f.Align = alignments[g.r.IntN(len(alignments))]
		}
	}
	if f.Type == v1alpha1.TypePadding {
		f.Name = ""
	} else if f.Bits == 0 {
		switch g.r.IntN(10) {
		case 0, 1:
			f.Length = int32(1 + g.r.IntN(4))
		case 2:
			f.Dimensions = []int32{int32(1 + g.r.IntN(3)), int32(1 + g.r.IntN(3))}
		}
	}
	return f
}

// cTypes are the types in C of one size. The others are arrays of characters.
var cTypes = map[v1alpha1.ScalarType]string{
	v1alpha1.TypeU8: "__u8", v1alpha1.TypeU16: "__u16", v1alpha1.TypeU32: "__u32", v1alpha1.TypeU64: "__u64",
	v1alpha1.TypeI8: "__s8", v1alpha1.TypeI16: "__s16", v1alpha1.TypeI32: "__s32", v1alpha1.TypeI64: "__s64",
	v1alpha1.TypeBE16: "__be16", v1alpha1.TypeBE32: "__be32", v1alpha1.TypeBE64: "__be64", v1alpha1.TypeBool: "_Bool",
	v1alpha1.TypeIPv4: "__be32", v1alpha1.TypeIPv6: "struct in6_addr", v1alpha1.TypeMAC: "struct { unsigned char b[6]; }",
	v1alpha1.TypeIPv4Prefix: "struct { __u32 len; __be32 addr; }", v1alpha1.TypeIPv6Prefix: "struct { __u32 len; struct in6_addr addr; }",
	v1alpha1.TypeIfindex: "__u32", v1alpha1.TypeCgroupID: "__u64",
}

// asBytes are the types that are arrays of bytes in C where their alignment is lowered: their sizes.
var asBytes = map[v1alpha1.ScalarType]int{
	v1alpha1.TypeIPv4: 4, v1alpha1.TypeIPv6: 16, v1alpha1.TypeIPv4Prefix: 8, v1alpha1.TypeIPv6Prefix: 20,
}

var scalarTypes = []v1alpha1.ScalarType{
	v1alpha1.TypeU8, v1alpha1.TypeU16, v1alpha1.TypeU32, v1alpha1.TypeU64, v1alpha1.TypeI8, v1alpha1.TypeI16, v1alpha1.TypeI32, v1alpha1.TypeI64,
	v1alpha1.TypeBE16, v1alpha1.TypeBE32, v1alpha1.TypeBE64, v1alpha1.TypeBool, v1alpha1.TypeIPv4, v1alpha1.TypeIPv6, v1alpha1.TypeMAC,
	v1alpha1.TypeIPv4Prefix, v1alpha1.TypeIPv6Prefix, v1alpha1.TypeIfindex, v1alpha1.TypeCgroupID,
	v1alpha1.TypeString, v1alpha1.TypeHex, v1alpha1.TypeBytes, v1alpha1.TypePadding,
}

func widthOf(t v1alpha1.ScalarType) int {
	l, err := schema.New(&v1alpha1.Schema{Type: t})
	if err != nil {
		panic(err)
	}
	return l.Size()
}

// declare is a struct or union in C.
func (g *generator) declare(s *v1alpha1.Schema, l *schema.Layout, indent string) string {
	var c strings.Builder
	if s.Union {
		c.WriteString("union {\n")
	} else {
		c.WriteString("struct {\n")
	}
	for element, n := l.Element(); n > 0; element, n = l.Element() {
		l = element
	}
	for i, m := range l.Members() {
		f := &s.Fields[i]
		switch {
		case f.Type == v1alpha1.TypePadding && f.Bits > 0:
			// Bits that no unit can be straddled by.
			for at, left := m.BitOffset, int(f.Bits); left > 0; {
				n := min(left, 8-at%8)
				fmt.Fprintf(&c, "%sunsigned char : %d;\n", indent, n)
				at, left = at+n, left-n
			}
		case f.Type == v1alpha1.TypePadding:
			fmt.Fprintf(&c, "%sunsigned char pad%d[%d];\n", indent, i, f.Size)
		default:
			c.WriteString(indent + g.member(f, m, indent) + ";\n")
		}
	}
	c.WriteString(indent[1:] + "}")
	if s.Packed {
		c.WriteString(" __attribute__((packed))")
	}
	if s.Align > 0 {
		fmt.Fprintf(&c, " __attribute__((aligned(%d)))", s.Align)
	}
	return c.String()
}

func (g *generator) member(f *v1alpha1.Field, m schema.Member, indent string) string {
	name := f.Name
	for _, n := range dimensions(&f.Schema) {
		name += fmt.Sprintf("[%d]", n)
	}
	typ, fixed := cTypes[f.Type]
	bytes, lowered := asBytes[f.Type]
	switch {
	case len(f.Fields) > 0:
		typ = g.declare(&f.Schema, m.Layout, indent+"\t")
	case lowered && f.Align > 0:
		typ, name = "unsigned char", name+fmt.Sprintf("[%d]", bytes)
	case fixed:
	case f.Type == v1alpha1.TypeString:
		typ, name = "char", name+fmt.Sprintf("[%d]", f.Size)
	default:
		typ, name = "unsigned char", name+fmt.Sprintf("[%d]", f.Size)
	}
	if f.Bits > 0 {
		name += fmt.Sprintf(" : %d", f.Bits)
	}
	if f.Align > 0 {
		name += fmt.Sprintf(" __attribute__((aligned(%d)))", f.Align)
	}
	return typ + " " + name
}

func dimensions(s *v1alpha1.Schema) []int32 {
	if s.Length > 0 {
		return []int32{s.Length}
	}
	return s.Dimensions
}

// offsets notes the members that have one.
func (g *generator) offsets(s *v1alpha1.Schema, path string) {
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Bits > 0 || f.Type == v1alpha1.TypePadding {
			continue
		}
		at := path + f.Name
		g.out.paths = append(g.out.paths, at)
		g.offsets(&f.Schema, at+strings.Repeat("[0]", len(dimensions(&f.Schema)))+".")
	}
}

// object is a value of a struct or union at a place of v.
func (g *generator) object(s *v1alpha1.Schema, at string) string {
	var named []*v1alpha1.Field
	for i := range s.Fields {
		if f := &s.Fields[i]; f.Type != v1alpha1.TypePadding {
			named = append(named, f)
		}
	}
	if s.Union {
		named = named[g.r.IntN(len(named)):][:1]
	}
	members := make([]string, len(named))
	for i, f := range named {
		members[i] = fmt.Sprintf("%q: %s", f.Name, g.value(&f.Schema, at+"."+f.Name, dimensions(&f.Schema)))
	}
	return "{" + strings.Join(members, ", ") + "}"
}

func (g *generator) value(s *v1alpha1.Schema, at string, dimensions []int32) string {
	if len(dimensions) > 0 {
		var elements []string
		for i := range dimensions[0] {
			elements = append(elements, g.value(s, fmt.Sprintf("%s[%d]", at, i), dimensions[1:]))
		}
		return "[" + strings.Join(elements, ", ") + "]"
	}
	if len(s.Fields) > 0 {
		return g.object(s, at)
	}
	return g.scalar(s, at)
}

// scalar is a value, and assigns it.
func (g *generator) scalar(s *v1alpha1.Schema, at string) string {
	assign := func(format string, args ...any) {
		g.out.assignments += fmt.Sprintf("\t"+at+" = "+format+";\n", args...)
	}
	copied := func(b []byte) {
		text := ""
		for _, c := range b {
			text += fmt.Sprintf(`\x%02x`, c)
		}
		g.out.assignments += fmt.Sprintf("\tmemcpy(&%s, \"%s\", %d);\n", at, text, len(b))
	}
	random := make([]byte, 20)
	for i := range random {
		random[i] = byte(g.r.Uint32())
	}
	n := g.r.Uint64()
	switch s.Type {
	case v1alpha1.TypeBool:
		assign("%d", n&1)
		return strconv.FormatBool(n&1 == 1)
	case v1alpha1.TypeIPv4:
		copied(random[:4])
		return strconv.Quote(netip.AddrFrom4([4]byte(random)).String())
	case v1alpha1.TypeIPv6:
		copied(random[:16])
		return strconv.Quote(netip.AddrFrom16([16]byte(random)).String())
	case v1alpha1.TypeIPv4Prefix, v1alpha1.TypeIPv6Prefix:
		size := map[v1alpha1.ScalarType]int{v1alpha1.TypeIPv4Prefix: 4, v1alpha1.TypeIPv6Prefix: 16}[s.Type]
		addr, _ := netip.AddrFromSlice(random[:size])
		p, _ := addr.Prefix(int(n % uint64(8*size+1)))
		copied(append(binary.NativeEndian.AppendUint32(nil, uint32(p.Bits())), p.Addr().AsSlice()...))
		return strconv.Quote(p.String())
	case v1alpha1.TypeMAC:
		copied(random[:6])
		return strconv.Quote(net.HardwareAddr(random[:6]).String())
	case v1alpha1.TypeString:
		text := strings.Repeat("x", int(n%uint64(s.Size+1)))
		copied([]byte(text))
		return strconv.Quote(text)
	case v1alpha1.TypeHex:
		copied(random[:s.Size])
		return strconv.Quote(hex.EncodeToString(random[:s.Size]))
	case v1alpha1.TypeBytes:
		copied(random[:s.Size])
		return strconv.Quote(base64.StdEncoding.EncodeToString(random[:s.Size]))
	}
	return g.number(s, n, assign)
}

// number is a value of an integer or float.
func (g *generator) number(s *v1alpha1.Schema, n uint64, assign func(string, ...any)) string {
	bits := int(s.Bits)
	if bits == 0 {
		bits = 8 * widthOf(s.Type)
	}
	if bits < 64 {
		n &= 1<<bits - 1
	}
	switch s.Type {
	case v1alpha1.TypeBE16, v1alpha1.TypeBE32, v1alpha1.TypeBE64:
		assign("__builtin_bswap%d(%dULL)", bits, n)
	case v1alpha1.TypeI8, v1alpha1.TypeI16, v1alpha1.TypeI32, v1alpha1.TypeI64:
		i := int64(n<<(64-bits)) >> (64 - bits)
		assign("(long long)%dULL", uint64(i))
		return strconv.FormatInt(i, 10)
	case v1alpha1.TypeF32:
		f := float32(math.Float32frombits(uint32(n)&0x7f7fffff | 0x00800000))
		assign("%xF", f)
		return strconv.FormatFloat(float64(f), 'g', -1, 32)
	case v1alpha1.TypeF64:
		f := math.Float64frombits(n&0x7fefffffffffffff | 1<<52)
		assign("%x", f)
		return strconv.FormatFloat(f, 'g', -1, 64)
	case v1alpha1.TypeU128:
		high := g.r.Uint64()
		assign("(unsigned __int128)%dULL << 64 | %dULL", high, n)
		wide := new(big.Int).Lsh(new(big.Int).SetUint64(high), 64)
		return strconv.Quote(wide.Or(wide, new(big.Int).SetUint64(n)).String())
	case v1alpha1.TypeIfindex, v1alpha1.TypeCgroupID:
		n &= math.MaxInt64 // as a number, which JSON carries
		assign("%dULL", n)
		return strconv.FormatUint(n, 10)
	default:
		assign("%dULL", n)
	}
	return strconv.Quote(strconv.FormatUint(n, 10))
}
