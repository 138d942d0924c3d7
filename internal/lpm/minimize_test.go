// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package lpm_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/lpm"
)

// prefix is one of a small space: the upper bits of a byte.
type prefix struct {
	bits   byte
	length int
	value  int
	stays  bool
}

type table []prefix

func (t table) Len() int                   { return len(t) }
func (t table) Prefix(i int) ([]byte, int) { return []byte{t[i].bits}, t[i].length }
func (t table) Same(i, j int) bool         { return t[i].value == t[j].value }
func (t table) Stays(i int) bool           { return t[i].stays }

func (t table) sort() {
	slices.SortFunc(t, func(a, b prefix) int {
		if a.bits != b.bits {
			return int(a.bits) - int(b.bits)
		}
		return a.length - b.length
	})
}

// lookups are the values of all addresses of so many bits, 0 for none.
func (t table) lookups(width int) (list [16]int) {
	for address := range 1 << width {
		longest := -1
		for _, p := range t {
			if p.length > longest && (byte(address<<(8-width))^p.bits)>>(8-p.length) == 0 {
				list[address], longest = p.value, p.length
			}
		}
	}
	return list
}

func minimize(t table, shortest int) (kept table) {
	for _, p := range t {
		if p.stays {
			kept = append(kept, p)
		}
	}
	lpm.Minimize(t, shortest, func(data []byte, length, like int) {
		kept = append(kept, prefix{data[0], length, t[like].value, false})
	})
	return kept
}

// all are the prefixes of a space.
func all(width, shortest int) (list []prefix) {
	for length := shortest; length <= width; length++ {
		for i := range 1 << length {
			list = append(list, prefix{bits: byte(i << (8 - length)), length: length})
		}
	}
	return list
}

// fewest is the least number of prefixes with values up to values that, beside those that stay, give the lookups. It
// tries all sets, the small ones first, below most.
func fewest(stays table, lookups [16]int, width, shortest, values, most int) int {
	var free []prefix
	for _, p := range all(width, shortest) {
		if !slices.ContainsFunc(stays, func(s prefix) bool { return s.bits == p.bits && s.length == p.length }) {
			free = append(free, p)
		}
	}
	var try func(have table, from, more int) bool
	try = func(have table, from, more int) bool {
		if more == 0 {
			return have.lookups(width) == lookups
		}
		for i := from; i+more <= len(free); i++ {
			for v := 1; v <= values; v++ {
				p := free[i]
				p.value = v
				if try(append(slices.Clip(have), p), i+1, more-1) {
					return true
				}
			}
		}
		return false
	}
	for n := range most {
		if try(stays, 0, n) {
			return n
		}
	}
	return most
}

// TestMinimize draws small sets: lookups stay as they are, and no set with fewer prefixes has them.
func TestMinimize(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const width = 3
	for round := range 1500 {
		values, shortest := 1+random.IntN(3), random.IntN(2)
		var have table
		for _, p := range all(width, shortest) {
			if random.IntN(3) == 0 {
				p.value, p.stays = 1+random.IntN(values), round%2 == 1 && random.IntN(4) == 0
				have = append(have, p)
			}
		}
		have.sort()
		got := minimize(have, shortest)
		if got.lookups(width) != have.lookups(width) {
			t.Fatalf("round %d: %+v has become %+v, with other lookups: %v, not %v", round, have, got, got.lookups(width), have.lookups(width))
		}
		stays := slices.DeleteFunc(slices.Clone(have), func(p prefix) bool { return !p.stays })
		added := len(got) - len(stays)
		for _, p := range got {
			if p.length < shortest {
				t.Fatalf("round %d: %+v is shorter than %d", round, p, shortest)
			}
		}
		if least := fewest(stays, have.lookups(width), width, shortest, values, min(added, 4)); least < added && added <= 4 {
			t.Fatalf("round %d: %+v has become %+v, which %d would do beside those that stay", round, have, got, least)
		}
	}
}

// addresses is a table of IPv4 prefixes.
type addresses []struct {
	data   [4]byte
	length int
	value  string
	stays  bool
}

func (t addresses) Len() int                   { return len(t) }
func (t addresses) Prefix(i int) ([]byte, int) { return t[i].data[:], t[i].length }
func (t addresses) Same(i, j int) bool         { return t[i].value == t[j].value }
func (t addresses) Stays(i int) bool           { return t[i].stays }

// read makes a table of "192.0.2.0/24=a"; ! stands behind one that stays.
func read(t testing.TB, text string) (list addresses) {
	t.Helper()
	for _, word := range strings.Fields(text) {
		word, stays := strings.CutSuffix(word, "!")
		p, value, _ := strings.Cut(word, "=")
		parsed, err := netip.ParsePrefix(p)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, addresses{{parsed.Addr().As4(), parsed.Bits(), value, stays}}...)
	}
	slices.SortFunc(list, func(a, b struct {
		data   [4]byte
		length int
		value  string
		stays  bool
	}) int {
		if c := slices.Compare(a.data[:], b.data[:]); c != 0 {
			return c
		}
		return a.length - b.length
	})
	return list
}

func (t addresses) minimized() string {
	var b strings.Builder
	lpm.Minimize(t, 0, func(data []byte, length, like int) {
		fmt.Fprintf(&b, "%s=%s ", netip.PrefixFrom(netip.AddrFrom4([4]byte(data)), length), t[like].value)
	})
	return strings.TrimSpace(b.String())
}

func TestMinimizeAddresses(t *testing.T) {
	for _, c := range []struct{ name, have, want string }{
		{"nothing", "", ""},
		{"one", "192.0.2.0/24=a", "192.0.2.0/24=a"},
		{"adjacent", "10.0.0.0/9=a 10.128.0.0/9=a", "10.0.0.0/8=a"},
		{"adjacent, other values", "10.0.0.0/9=a 10.128.0.0/9=b", "10.0.0.0/9=a 10.128.0.0/9=b"},
		{"adjacent, but not aligned", "10.128.0.0/9=a 11.0.0.0/9=a", "10.128.0.0/9=a 11.0.0.0/9=a"},
		{"contained", "10.0.0.0/8=a 10.1.2.0/24=a", "10.0.0.0/8=a"},
		{"contained, other value", "10.0.0.0/8=a 10.1.2.0/24=b", "10.0.0.0/8=a 10.1.2.0/24=b"},
		{"another value between", "10.0.0.0/8=a 10.1.0.0/16=b 10.1.2.0/24=a", "10.0.0.0/8=a 10.1.0.0/16=b 10.1.2.0/24=a"},
		{"another value between, which stays", "10.0.0.0/8=a 10.1.0.0/16=b! 10.1.2.0/24=a", "10.0.0.0/8=a 10.1.2.0/24=a"},
		{"the same value between, which stays", "10.0.0.0/8=a 10.1.0.0/16=a! 10.1.2.0/24=a", "10.0.0.0/8=a"},
		{"four quarters", "10.0.0.0/10=a 10.64.0.0/10=a 10.128.0.0/10=a 10.192.0.0/10=a", "10.0.0.0/8=a"},
		{"three quarters", "10.0.0.0/10=a 10.64.0.0/10=a 10.128.0.0/10=a", "10.0.0.0/9=a 10.128.0.0/10=a"},
		{"a quarter of another value", "10.0.0.0/10=a 10.64.0.0/10=a 10.128.0.0/10=b 10.192.0.0/10=a", "10.0.0.0/8=a 10.128.0.0/10=b"},
		{"the whole covered by its halves", "10.0.0.0/8=a 10.0.0.0/9=b 10.128.0.0/9=b", "10.0.0.0/8=b"},
		{"everything", "0.0.0.0/0=a 1.2.3.4/32=a", "0.0.0.0/0=a"},
		{"single addresses", "192.0.2.0/32=a 192.0.2.1/32=a 192.0.2.2/32=a", "192.0.2.0/31=a 192.0.2.2/32=a"},
	} {
		if got := read(t, c.have).minimized(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// BenchmarkMinimize is of a million prefixes, of which a quarter can be merged.
func BenchmarkMinimize(b *testing.B) {
	random := rand.New(rand.NewPCG(3, 4))
	list := make(addresses, 0, 1<<20)
	for i := uint32(0); len(list) < 1<<20; i += 1 + random.Uint32N(2) {
		list = append(list, struct {
			data   [4]byte
			length int
			value  string
			stays  bool
		}{[4]byte{byte(i >> 16), byte(i >> 8), byte(i), 0}, 24, "a", false})
	}
	for b.Loop() {
		n := 0
		lpm.Minimize(list, 0, func([]byte, int, int) { n++ })
		b.ReportMetric(float64(n), "prefixes")
	}
}
