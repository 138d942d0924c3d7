// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import (
	"maps"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// pair compares two parts of the same bits.
func (m *match) pair(w, h *node) {
	switch {
	case w.scalar != nil && h.scalar != nil:
		m.scalars(w, h)
	case w.count > 0 && h.count > 0 && w.count == h.count:
		m.compare(w.element, members(h.element))
	case w.members != nil && h.members != nil:
		m.unions(w, h)
	default:
		m.covers([]node{*w}, []node{*h})
	}
}

// unions looks for each declared member among those of the program.
func (m *match) unions(w, h *node) {
	for _, want := range w.members {
		var nearest *match
		for _, have := range h.members {
			trial := match{partial: m.partial}
			trial.compare(want.parts, members(have.parts))
			if want.size != have.size {
				trial.misfits = append(trial.misfits, Difference{want.path, w.at, want.size, "the program's union has no member of this size"})
			}
			if nearest == nil || len(trial.misfits) < len(nearest.misfits) || len(trial.misfits) == len(nearest.misfits) && len(trial.notes) < len(nearest.notes) {
				nearest = &trial
			}
		}
		if nearest != nil {
			m.misfits, m.notes = append(m.misfits, nearest.misfits...), append(m.notes, nearest.notes...)
		}
	}
}

// isOpaque says whether a type takes any bytes.
func isOpaque(s *v1alpha1.Schema) bool {
	switch s.Type {
	case v1alpha1.TypeHex, v1alpha1.TypeBytes, v1alpha1.TypePadding:
		return true
	}
	return false
}

// isInteger says whether a part is a number in the node's byte order, which its bits can be parts of.
func isInteger(s *v1alpha1.Schema) bool {
	if s == nil {
		return false
	}
	switch s.Type {
	case v1alpha1.TypeU8, v1alpha1.TypeU16, v1alpha1.TypeU32, v1alpha1.TypeU64, v1alpha1.TypeU128,
		v1alpha1.TypeI8, v1alpha1.TypeI16, v1alpha1.TypeI32, v1alpha1.TypeI64, v1alpha1.TypeI128, v1alpha1.TypeBool:
		return true
	}
	return false
}

// takesParts says whether a type of many bytes may be several members of a program: an address of words, or text of
// single characters.
func takesParts(s *v1alpha1.Schema, have []node) bool {
	var most int
	switch s.Type {
	case v1alpha1.TypeIPv6, v1alpha1.TypeIP:
		most = 64
	case v1alpha1.TypeMAC:
		most = 16
	case v1alpha1.TypeString, v1alpha1.TypeDNSName:
		most = 8
	case v1alpha1.TypeIPv4, v1alpha1.TypeIPv4Host:
		most = 16
	}
	for i := range have {
		h := &have[i]
		switch {
		case h.count > 0:
			if !takesParts(s, h.element) {
				return false
			}
		case h.members != nil:
			if !slices.ContainsFunc(h.members, func(m choice) bool { return takesParts(s, m.parts) }) {
				return false
			}
		case h.scalar.Type == v1alpha1.TypeSpinLock || h.scalar.Type == v1alpha1.TypeF32 || h.scalar.Type == v1alpha1.TypeF64:
			return false
		case h.scalar.Type == v1alpha1.TypeIPv6 || h.scalar.Type == v1alpha1.TypeIPv4 || isOpaque(h.scalar):
		case h.size > most:
			return false
		}
	}
	return most > 0
}

// The byte orders.
const (
	networkByteOrder = "network byte order"
	nodeByteOrder    = "the node's byte order"
)

// order is the byte order of a scalar; empty for none.
func order(t v1alpha1.ScalarType) string {
	switch t {
	case v1alpha1.TypeBE16, v1alpha1.TypeBE32, v1alpha1.TypeBE64, v1alpha1.TypeIPv4:
		return networkByteOrder
	case v1alpha1.TypeU16, v1alpha1.TypeU32, v1alpha1.TypeU64, v1alpha1.TypeU128, v1alpha1.TypeI16, v1alpha1.TypeI32, v1alpha1.TypeI64, v1alpha1.TypeI128,
		v1alpha1.TypeIPv4Host, v1alpha1.TypeIfindex, v1alpha1.TypeMapRef, v1alpha1.TypeProgPin, v1alpha1.TypeCgroup, v1alpha1.TypeCgroupID:
		return nodeByteOrder
	}
	return ""
}

// scalars compares what two scalars of the same bits mean.
func (m *match) scalars(w, h *node) {
	want, have := w.scalar, h.scalar
	wantOrder, haveOrder := order(want.Type), order(have.Type)
	switch {
	case want.Type == v1alpha1.TypeSpinLock != (have.Type == v1alpha1.TypeSpinLock):
		m.misfit(w, "%s: the program has %s, and a spin lock takes the type spinLock", w, h)
	case isOpaque(want):
		m.overOpaque(w, []node{*h})
	case isOpaque(have), want.Type == have.Type && wantOrder == "":
		m.properties(w, h)
	case isFloat(want) != isFloat(have):
		m.misfit(w, "%s: the program has %s", w, h)
	case haveOrder == networkByteOrder && wantOrder == nodeByteOrder:
		m.misfit(w, "%s is in the node's byte order: the program has %s, in network byte order", w, h)
	case have.Type == v1alpha1.TypeIPv4Host && wantOrder == networkByteOrder:
		m.misfit(w, "%s is in network byte order: the program has %s, in the node's byte order", w, h)
	case wantOrder == "" && !isByte(want) && haveOrder != "" && !takesParts(want, []node{*h}):
		m.misfit(w, "%s: the program has %s", w, h)
	case wantOrder != "" && haveOrder == "" && !isByte(have) && want.Type != have.Type:
		m.misfit(w, "%s: the program has %s", w, h)
	default:
		if isSigned(want) != isSigned(have) && isInteger(want) && isInteger(have) {
			m.note(w, "the program has %s", have.Type)
		}
		m.properties(w, h)
	}
}

// properties compares what is said beyond the type, where both say it.
func (m *match) properties(w, h *node) {
	want, have := w.scalar, h.scalar
	for _, p := range []struct{ name, want, have string }{
		{"duration", string(want.Duration), string(have.Duration)}, {"time", string(want.Time), string(have.Time)},
		{"ipv4As", placement(want), placement(have)},
	} {
		if p.want != p.have && p.want != "" && p.have != "" {
			m.misfit(w, "%s is %s: the program says %s", p.name, p.want, p.have)
		}
	}
	for _, p := range []struct {
		name       string
		want, have map[string]int64
	}{{"enum", want.Enum, have.Enum}, {"flags", want.Flags, have.Flags}, {"flags", want.Flags, have.Enum}} {
		for _, name := range slices.Sorted(maps.Keys(p.want)) {
			if n, ok := p.have[name]; ok && n != p.want[name] {
				m.misfit(w, "%s %s is %d: the program has %d", p.name, name, p.want[name], n)
			}
		}
	}
}

func placement(s *v1alpha1.Schema) string {
	if s.Type == v1alpha1.TypeIP && s.IPv4As == "" {
		return string(v1alpha1.IPv4Mapped)
	}
	return string(s.IPv4As)
}

func isFloat(s *v1alpha1.Schema) bool {
	return s.Type == v1alpha1.TypeF32 || s.Type == v1alpha1.TypeF64
}

func isSigned(s *v1alpha1.Schema) bool {
	switch s.Type {
	case v1alpha1.TypeI8, v1alpha1.TypeI16, v1alpha1.TypeI32, v1alpha1.TypeI64, v1alpha1.TypeI128:
		return true
	}
	return false
}

func isByte(s *v1alpha1.Schema) bool {
	return s.Type == v1alpha1.TypeU8 || s.Type == v1alpha1.TypeI8 || s.Type == v1alpha1.TypeBool
}
