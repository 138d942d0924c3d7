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
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// scalar is a value, and initializes its place in v.
func (g *generator) scalar(s *v1alpha1.Schema, at string) string {
	initialize := func(format string, args ...any) {
		g.out.initializers += fmt.Sprintf("\t"+at+" = "+format+",\n", args...)
	}
	random := make([]byte, 20)
	for i := range random {
		random[i] = byte(g.r.Uint32())
	}
	n := g.r.Uint64()
	switch s.Type {
	case v1alpha1.TypeBool:
		initialize("%d", n&1)
		return strconv.FormatBool(n&1 == 1)
	case v1alpha1.TypeIPv4Host:
		initialize("%dU", binary.BigEndian.Uint32(random))
		return strconv.Quote(netip.AddrFrom4([4]byte(random)).String())
	case v1alpha1.TypeIPv4:
		if s.Align > 0 {
			initialize("%s", bytesInC(random[:4]))
		} else {
			initialize("BE32(%dU)", binary.BigEndian.Uint32(random))
		}
		return strconv.Quote(netip.AddrFrom4([4]byte(random)).String())
	case v1alpha1.TypeIPv6, v1alpha1.TypeIP:
		initialize("%s", bytesInC(random[:16]))
		return strconv.Quote(netip.AddrFrom16([16]byte(random)).String())
	case v1alpha1.TypeIPv4Prefix, v1alpha1.TypeIPv6Prefix, v1alpha1.TypeIPPrefix:
		size := asBytes[s.Type] - 4
		addr, _ := netip.AddrFromSlice(random[:size])
		p, _ := addr.Prefix(int(n % uint64(8*size+1)))
		network := p.Addr().AsSlice()
		switch {
		case s.Align > 0:
			initialize("%s", bytesInC(append(binary.NativeEndian.AppendUint32(nil, uint32(p.Bits())), network...)))
		case size == 4:
			initialize("{%d, BE32(%dU)}", p.Bits(), binary.BigEndian.Uint32(network))
		default:
			initialize("{%d, %s}", p.Bits(), bytesInC(network))
		}
		return strconv.Quote(p.String())
	case v1alpha1.TypeMAC:
		initialize("%s", bytesInC(random[:6]))
		return strconv.Quote(net.HardwareAddr(random[:6]).String())
	case v1alpha1.TypeString:
		text := strings.Repeat("x", int(n%uint64(s.Size+1)))
		initialize("%s", bytesInC([]byte(text)))
		return strconv.Quote(text)
	case v1alpha1.TypeCountedString:
		text := strings.Repeat("x", int(n%uint64(s.Size+1)))
		length := strconv.Itoa(len(text))
		if swap, ok := map[v1alpha1.ScalarType]int{v1alpha1.TypeBE16: 16, v1alpha1.TypeBE32: 32}[s.LengthType]; ok {
			length = fmt.Sprintf("BE%d(%d)", swap, len(text))
		}
		initialize("{%s, %s}", length, bytesInC([]byte(text)))
		return strconv.Quote(text)
	case v1alpha1.TypeDNSName:
		if s.Size < 4 {
			return `"."`
		}
		initialize("%s", bytesInC([]byte("\x02ab\x00")))
		return `"ab"`
	case v1alpha1.TypeHex:
		initialize("%s", bytesInC(random[:s.Size]))
		return strconv.Quote(hex.EncodeToString(random[:s.Size]))
	case v1alpha1.TypeBytes:
		initialize("%s", bytesInC(random[:s.Size]))
		return strconv.Quote(base64.StdEncoding.EncodeToString(random[:s.Size]))
	}
	return g.number(s, n, initialize)
}

// bytesInC initializes an array of bytes, or a struct that begins with one.
func bytesInC(b []byte) string {
	numbers := make([]string, len(b))
	for i, c := range b {
		numbers[i] = strconv.Itoa(int(c))
	}
	return "{" + strings.Join(numbers, ", ") + "}"
}

// number is a value of an integer or float.
func (g *generator) number(s *v1alpha1.Schema, n uint64, initialize func(string, ...any)) string {
	bits := int(s.Bits)
	if bits == 0 {
		bits = 8 * widthOf(s.Type)
	}
	if bits < 64 {
		n &= 1<<bits - 1
	}
	switch s.Type {
	case v1alpha1.TypeBE16, v1alpha1.TypeBE32, v1alpha1.TypeBE64:
		initialize("BE%d(%dULL)", bits, n)
	case v1alpha1.TypeI8, v1alpha1.TypeI16, v1alpha1.TypeI32, v1alpha1.TypeI64:
		i := int64(n<<(64-bits)) >> (64 - bits)
		initialize("(long long)%dULL", uint64(i))
		return strconv.FormatInt(i, 10)
	case v1alpha1.TypeF32:
		f := float32(math.Float32frombits(uint32(n)&0x3fffffff | 0x00800000))
		initialize("%xF", f)
		return strconv.FormatFloat(float64(f), 'g', -1, 32)
	case v1alpha1.TypeF64:
		f := math.Float64frombits(n&0x3fffffffffffffff | 1<<52)
		initialize("%x", f)
		return strconv.FormatFloat(f, 'g', -1, 64)
	case v1alpha1.TypeU128:
		high := g.r.Uint64()
		initialize("(unsigned __int128)%dULL << 64 | %dULL", high, n)
		wide := new(big.Int).Lsh(new(big.Int).SetUint64(high), 64)
		return strconv.Quote(wide.Or(wide, new(big.Int).SetUint64(n)).String())
	case v1alpha1.TypeI128:
		high := int64(g.r.Uint64())
		initialize("(unsigned __int128)%dULL << 64 | %dULL", uint64(high), n)
		wide := new(big.Int).Lsh(big.NewInt(high), 64)
		return strconv.Quote(wide.Or(wide, new(big.Int).SetUint64(n)).String())
	case v1alpha1.TypeIfindex, v1alpha1.TypeCgroupID:
		n &= math.MaxInt64 // as a number, which JSON carries
		initialize("%dULL", n)
		return strconv.FormatUint(n, 10)
	default:
		initialize("%dULL", n)
	}
	return strconv.Quote(strconv.FormatUint(n, 10))
}
