// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package lpm

import (
	"bytes"
	"math/bits"
	"sort"
)

// Table is a set of prefixes with values, each prefix once, sorted by their bits and then by their lengths.
type Table interface {
	// Len is how many there are, at most math.MaxInt32.
	Len() int
	// Prefix is the i-th one: its bits, with zeros behind the first length of them. All have equally many.
	Prefix(i int) (data []byte, length int)
	// Same says whether two have the same value.
	Same(i, j int) bool
	// Stays says whether one has to stay as it is.
	Stays(i int) bool
}

// maxChoices bounds the values between which one prefix may be decided. Among more than that the result may have some
// prefixes more than the fewest.
const maxChoices = 8

// none is the value of addresses that no prefix covers.
const none = -1

// Minimize yields the prefixes that take the place of those that needn't stay: data, valid during the call, its length,
// and the number of one that has their value. None is shorter than shortest, which no prefix of the table may be
// either. It takes time in O(n log n) and about 12 bytes of memory for each prefix.
func Minimize(t Table, shortest int, yield func(data []byte, length, like int)) {
	if t.Len() == 0 {
		return
	}
	m := minimizer{t: t, shortest: shortest, yield: yield, sets: make([]set, 0, t.Len()+t.Len()/2), room: make([]int32, 0, t.Len())}
	m.rise(0, t.Len(), shortest-1, none)
	m.at = 0
	m.descend(0, t.Len(), shortest-1, none, none)
}

type minimizer struct {
	t        Table
	shortest int
	yield    func(data []byte, length, like int)
	// sets are those of the nodes in the order in which they are entered, which is the same on both ways; at is the
	// next one on the way down. room holds their values.
	sets []set
	room []int32
	at   int
	key  []byte
}

// set is the values that a node may inherit at the lowest price: any, or those in minimizer.room.
type set struct {
	start int32
	len   int8 // anything for every value
	split bool
}

const anything = -1

// values are those of a node while sets are combined. They are numbers of prefixes that have them, or none alone.
type values struct {
	any bool
	// split says that the two sides have none in common: a prefix for both is no cheaper than one for each.
	split bool
	len   int
	list  [maxChoices]int32
}

func only(v int32) (s values) {
	s.len, s.list[0] = 1, v
	return s
}

// node is the part [lo, hi) of the table, which has a common prefix of length bits.
type node struct {
	depth int
	own   int32 // the prefix of exactly that length, or none
	lo    int   // of those that are longer
	mid   int   // the first of those with the next bit set
	hi    int
}

func (m *minimizer) node(lo, hi int) node {
	first, length := m.t.Prefix(lo)
	last, _ := m.t.Prefix(hi - 1)
	n := node{depth: min(length, common(first, last)), own: none, lo: lo, hi: hi}
	if n.depth == length {
		n.own, n.lo = int32(lo), lo+1
	}
	n.mid = n.lo + sort.Search(hi-n.lo, func(i int) bool {
		data, _ := m.t.Prefix(n.lo + i)
		return bit(data, n.depth) == 1
	})
	return n
}

// rise finds the set of the highest node of [lo, hi) below above. inherited is the value of the nearest prefix of the
// table above.
func (m *minimizer) rise(lo, hi, above int, inherited int32) values {
	id := len(m.sets)
	m.sets = append(m.sets, set{})
	n := m.node(lo, hi)
	stays := n.own != none && m.t.Stays(int(n.own))
	below := inherited
	if n.own != none {
		below = n.own
	}
	var s values
	if n.lo == n.hi {
		s = only(below)
	} else {
		left, right := only(below), only(below)
		if n.lo < n.mid {
			left = m.rise(n.lo, n.mid, n.depth, below)
		}
		if n.mid < n.hi {
			right = m.rise(n.mid, n.hi, n.depth, below)
		}
		s = m.combine(&left, &right)
	}
	switch {
	case stays:
		s = values{any: true}
	case n.depth < m.shortest:
		s = only(none)
	}
	m.keep(id, &s)
	return m.through(&s, n.depth-above-1, inherited)
}

// through is the set at the upper end of a path of so many nodes, whose other sides all have the inherited value.
func (m *minimizer) through(s *values, length int, inherited int32) values {
	switch {
	case length == 0:
		return *s
	case length > 1: // what a second one adds is what both have
		return only(inherited)
	}
	side := only(inherited)
	return m.combine(s, &side)
}

// combine is the set of a node with these below: what both have, or if there is none, what either has. Nothing may be
// inherited where something below has no value.
func (m *minimizer) combine(a, b *values) (s values) {
	switch {
	case a.any:
		return *b
	case b.any:
		return *a
	case a.list[0] == none || b.list[0] == none:
		return only(none)
	}
	for _, v := range a.list[:a.len] {
		if m.has(b, v) {
			s.list[s.len] = v
			s.len++
		}
	}
	if s.len > 0 {
		return s
	}
	s.len = copy(s.list[:], a.list[:a.len])
	s.len += copy(s.list[s.len:], b.list[:b.len])
	s.len, s.split = min(s.len, maxChoices), true
	return s
}

func (m *minimizer) has(s *values, v int32) bool {
	if s.any {
		return true
	}
	for _, have := range s.list[:s.len] {
		if m.same(have, v) {
			return true
		}
	}
	return false
}

func (m *minimizer) same(a, b int32) bool {
	return a == b || a != none && b != none && m.t.Same(int(a), int(b))
}

func (m *minimizer) keep(id int, s *values) {
	if s.any {
		m.sets[id] = set{len: anything}
		return
	}
	m.sets[id] = set{start: int32(len(m.room)), len: int8(s.len), split: s.split}
	m.room = append(m.room, s.list[:s.len]...)
}

func (m *minimizer) kept(id int) (s values) {
	k := m.sets[id]
	if k.len == anything {
		return values{any: true}
	}
	s.len, s.split = copy(s.list[:], m.room[k.start:int(k.start)+int(k.len)]), k.split
	return s
}

// descend yields the prefixes that [lo, hi) needs below above, given the value that is inherited in the table and the
// one that is inherited among what was yielded and what stays.
func (m *minimizer) descend(lo, hi, above int, inherited, given int32) {
	id := m.at
	m.at++
	n := m.node(lo, hi)
	s := m.kept(id)
	if length := n.depth - above - 1; length > 0 {
		path := m.through(&s, length, inherited)
		given = m.give(&path, lo, above+1, none, given)
		if length == 1 && !m.same(given, inherited) {
			m.put(lo, n.depth, true, inherited)
		}
	}
	below := inherited
	if n.own != none {
		below = n.own
	}
	if n.own != none && m.t.Stays(int(n.own)) {
		given = n.own
	} else {
		given = m.give(&s, lo, n.depth, n.own, given)
	}
	if n.lo == n.hi {
		return
	}
	if n.lo < n.mid {
		m.descend(n.lo, n.mid, n.depth, below, given)
	} else if !m.same(given, below) {
		m.put(n.mid, n.depth+1, true, below)
	}
	if n.mid < n.hi {
		m.descend(n.mid, n.hi, n.depth, below, given)
	} else if !m.same(given, below) {
		m.put(n.lo, n.depth+1, true, below)
	}
}

// give yields a prefix of this length if its node can't inherit what is given, and returns what those below get. Where
// several ways are as good, it is the one in which the table's own prefix, wished, stays.
func (m *minimizer) give(s *values, like, length int, wished, given int32) int32 {
	if m.has(s, given) {
		return given
	}
	v := s.list[0]
	switch isOwn := wished != none && m.has(s, wished); {
	case isOwn:
		v = wished
	case s.split:
		return given
	}
	m.put(like, length, false, v)
	return v
}

// put yields the prefix of this length that the i-th one has, or the other one with all but the last bit in common.
func (m *minimizer) put(i, length int, other bool, value int32) {
	data, _ := m.t.Prefix(i)
	m.key = append(m.key[:0], data...)
	if other {
		m.key[(length-1)/8] ^= 0x80 >> ((length - 1) % 8)
	}
	if whole := length / 8; whole < len(m.key) {
		m.key[whole] &= ^(byte(0xff) >> (length % 8))
		clear(m.key[whole+1:])
	}
	m.yield(m.key, length, int(value))
}

// common is how many bits two texts of the same length have in common from their beginning.
func common(a, b []byte) int {
	if bytes.Equal(a, b) {
		return 8 * len(a)
	}
	i := 0
	for a[i] == b[i] {
		i++
	}
	return 8*i + bits.LeadingZeros8(a[i]^b[i])
}

func bit(data []byte, i int) byte { return data[i/8] >> (7 - i%8) & 1 }
