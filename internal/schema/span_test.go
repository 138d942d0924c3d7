// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"math/rand/v2"
	"testing"
)

// TestSpansAreExact takes random ranges apart: the prefixes are the range, in its order and without a gap, and
// there are as few as possible.
func TestSpansAreExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		width := []int{8, 16, 32, 64, 128}[r.IntN(5)]
		a, b := randomWide(r, width), randomWide(r, width)
		if b.less(a) {
			a, b = b, a
		}
		checkSpan(t, span{from: a, to: b, width: width})
	}
	for _, width := range []int{8, 16, 32, 64, 128} {
		checkSpan(t, span{to: ones(width), width: width})
		longest := span{from: wide{0, 1}, to: ones(width).andNot(wide{0, 1}), width: width}
		if n := checkSpan(t, longest); n != 2*width-2 {
			t.Errorf("%d bits: %d prefixes, want %d", width, n, 2*width-2)
		}
	}
}

// randomWide is small, large, or near a power of two.
func randomWide(r *rand.Rand, width int) wide {
	w := wide{r.Uint64(), r.Uint64()}.and(ones(width))
	switch r.IntN(4) {
	case 0:
		return w.and(ones(r.IntN(width + 1)))
	case 1:
		return ones(r.IntN(width + 1))
	}
	return w
}

func checkSpan(t *testing.T, s span) (n int) {
	t.Helper()
	at, rest := s.from, s
	for {
		from, length := rest.first()
		free := ones(s.width - length)
		if n++; from != at || from.and(free) != (wide{}) || length < 0 || s.to.less(from.or(free)) {
			t.Fatalf("%v: prefix %d is %v/%d, %v is next", s, n, from, length, at)
		}
		// A shorter prefix here would begin before or end behind the range: so this is the longest step from here, and longest
		// steps are the fewest.
		if wider := ones(s.width - length + 1); length > 0 && from.and(wider) == (wide{}) && !s.to.less(from.or(wider)) {
			t.Fatalf("%v: %v/%d is not the shortest prefix there", s, from, length)
		}
		last := from.or(free)
		if at = last.next(); !rest.skip() {
			if last != s.to {
				t.Fatalf("%v ends with %v", s, last)
			}
			break
		}
	}
	if s.count() != n || n > 2*s.width-2 {
		t.Fatalf("%v: %d prefixes, count is %d", s, n, s.count())
	}
	return n
}

// TestRangesOfBytes compares all ranges of a byte with the fewest prefixes by trying all.
func TestRangesOfBytes(t *testing.T) {
	fewest := map[[2]int]int{}
	var least func(from, to int) int
	least = func(from, to int) int {
		if from > to {
			return 0
		}
		if n, ok := fewest[[2]int{from, to}]; ok {
			return n
		}
		best := 256
		for size := 1; size <= 256; size *= 2 {
			if from%size == 0 && from+size-1 <= to {
				best = min(best, 1+least(from+size, to))
			}
		}
		fewest[[2]int{from, to}] = best
		return best
	}
	for from := range 256 {
		for to := from; to < 256; to++ {
			s := span{from: wide{0, uint64(from)}, to: wide{0, uint64(to)}, width: 8}
			if n := s.count(); n != least(from, to) {
				t.Fatalf("%d-%d: %d prefixes, want %d", from, to, n, least(from, to))
			}
		}
	}
}
