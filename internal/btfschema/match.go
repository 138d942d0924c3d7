// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// maxUnrolled is how many elements of an array are compared one by one.
const maxUnrolled = 256

// match collects what differs between declared parts and a type's.
type match struct {
	misfits, notes []Difference
	// partial says that what isn't declared needs not be: another member of a union may be there.
	partial bool
}

func (m *match) misfit(n *node, format string, args ...any) {
	m.misfits = append(m.misfits, Difference{n.path, n.at, n.size, fmt.Sprintf(format, args...)})
}

func (m *match) note(n *node, format string, args ...any) {
	m.notes = append(m.notes, Difference{n.path, n.at, n.size, fmt.Sprintf(format, args...)})
}

// compare goes through both from the first bit to the last.
func (m *match) compare(want, have []node) {
	siblings := have
	for len(want) > 0 && len(have) > 0 {
		w, h := &want[0], &have[0]
		switch {
		case w.end() <= h.at:
			m.nothingThere(w)
			want = want[1:]
		case h.end() <= w.at:
			m.undeclared(h)
			have = have[1:]
		case w.at == h.at && w.size == h.size:
			m.checkName(w, h, siblings)
			m.pair(w, h)
			want, have = want[1:], have[1:]
		default:
			want, have = m.cluster(want, have)
		}
	}
	for i := range want {
		m.nothingThere(&want[i])
	}
	for i := range have {
		m.undeclared(&have[i])
	}
}

// nothingThere judges a field that no member has the bytes of.
func (m *match) nothingThere(w *node) {
	switch {
	case w.scalar != nil && isOpaque(w.scalar):
	case isFiller(w.name):
		m.note(w, "the program has padding there")
	default:
		m.misfit(w, "%s: the program has no member there", w)
	}
}

// undeclared judges a member that no field has the bytes of.
func (m *match) undeclared(h *node) {
	switch {
	case m.partial:
	case isFiller(h.name):
		m.note(h, "isn't declared, and holds zeros")
	default:
		m.misfit(h, "the program's %s isn't declared", h)
	}
}

// isFiller says whether a name tells that nothing is read there.
func isFiller(name string) bool {
	name = strings.ToLower(strings.Trim(name, "_"))
	name = strings.TrimRight(name, "0123456789_")
	return name == "" || slices.Contains([]string{"pad", "padding", "reserved", "rsvd", "resv", "res", "unused", "filler", "pad_byte"}, name)
}

// checkName looks for the name of a field where the type has it.
func (m *match) checkName(w, h *node, siblings []node) {
	if w.name == h.name || w.name == "" || h.name == "" {
		return
	}
	for i := range siblings {
		if other := &siblings[i]; other.name == w.name && other.at != w.at {
			m.misfit(w, "is declared at byte %d, where the program has %s; its %s is at byte %d", w.at/8, h.name, w.name, other.at/8)
			return
		}
	}
	m.note(w, "the program calls it %s", h.path)
}

// cluster compares the first parts of both, which begin or end at different bits, with as many of the other side as
// make up the same bits. It returns what is left.
func (m *match) cluster(want, have []node) (restWant, restHave []node) {
	nWant, nHave := 1, 1
	for {
		endWant, endHave := want[nWant-1].end(), have[nHave-1].end()
		switch {
		case endWant < endHave && nWant < len(want) && want[nWant].at < endHave:
			nWant++
			continue
		case endHave < endWant && nHave < len(have) && have[nHave].at < endWant:
			nHave++
			continue
		}
		break
	}
	m.covers(want[:nWant], have[:nHave])
	return want[nWant:], have[nHave:]
}

// covers compares parts of which one side has several for one of the other.
func (m *match) covers(want, have []node) {
	w, h := &want[0], &have[0]
	switch {
	case len(want) == 1 && w.scalar != nil && isOpaque(w.scalar) && contains(w, have):
		m.overOpaque(w, have)
	case len(have) == 1 && h.scalar != nil && isOpaque(h.scalar) && contains(h, want):
	case len(want) == 1 && w.at == h.at && contains(w, have) && w.scalar != nil && takesParts(w.scalar, have):
	case len(want) == 1 && contains(w, have) && isInteger(w.scalar) && allBits(have):
		m.note(w, "the program has bit-fields there: %s", names(have))
	case len(have) == 1 && contains(h, want) && isInteger(h.scalar) && allBits(want):
	case len(have) == 1 && h.members != nil && contains(h, want):
		m.anyMember(want, h)
	case len(want) == 1 && w.members != nil && contains(w, have):
		m.eachMember(w, have)
	case len(want) == 1 && w.count > 0 && w.count <= maxUnrolled && contains(w, have):
		m.compare(unrolled(w), have)
	case len(have) == 1 && h.count > 0 && h.count <= maxUnrolled && contains(h, want):
		m.compare(want, unrolled(h))
	default:
		m.misfit(w, "%s: the program has %s", list(want), list(have))
	}
}

// contains says whether all parts lie within one.
func contains(n *node, all []node) bool {
	return len(all) > 0 && n.at <= all[0].at && all[len(all)-1].end() <= n.end()
}

func allBits(all []node) bool {
	return !slices.ContainsFunc(all, func(n node) bool { return !n.isBits })
}

// overOpaque notes the members that padding covers.
func (m *match) overOpaque(w *node, have []node) {
	for i := range have {
		switch h := &have[i]; {
		case h.scalar != nil && h.scalar.Type == v1alpha1.TypeSpinLock:
			m.misfit(w, "%s: the program has %s, which takes the type spinLock", w, h)
		case w.scalar.Type == v1alpha1.TypePadding && !isFiller(h.name):
			m.note(w, "the program has %s there", h)
		}
	}
}

// anyMember compares with the members of a union, of which one has to fit.
func (m *match) anyMember(want []node, union *node) {
	var nearest *match
	for _, member := range union.members {
		trial := match{partial: m.partial}
		trial.compare(want, members(member.parts))
		if nearest == nil || len(trial.misfits) < len(nearest.misfits) {
			nearest = &trial
		}
	}
	if nearest == nil {
		return
	}
	m.misfits, m.notes = append(m.misfits, nearest.misfits...), append(m.notes, nearest.notes...)
}

// eachMember compares each member of a declared union with what the program has there.
func (m *match) eachMember(union *node, have []node) {
	for _, member := range union.members {
		trial := match{partial: true}
		trial.compare(member.parts, have)
		m.misfits, m.notes = append(m.misfits, trial.misfits...), append(m.notes, trial.notes...)
	}
}

// unrolled are the elements of an array.
func unrolled(n *node) (all []node) {
	size := n.size / n.count
	for i := range n.count {
		all = append(all, shifted(n.element, n.at+i*size, fmt.Sprintf("%s[%d]", n.path, i), n.path+"[]")...)
	}
	return all
}

func shifted(element []node, by int, path, instead string) []node {
	all := slices.Clone(element)
	for i := range all {
		n := &all[i]
		n.at += by
		if n.path == instead {
			n.name = "" // an element has none
		}
		n.path = path + strings.TrimPrefix(n.path, instead)
		n.members = slices.Clone(n.members)
		for j := range n.members {
			n.members[j].parts = shifted(n.members[j].parts, by, path, instead)
		}
	}
	return all
}

func names(all []node) string {
	text := make([]string, len(all))
	for i := range all {
		text[i] = all[i].path
	}
	return strings.Join(text, ", ")
}

// maxListed bounds the parts in a message.
const maxListed = 4

func list(all []node) string {
	text := make([]string, 0, maxListed+1)
	for i := range all {
		if i == maxListed {
			text = append(text, "…")
			break
		}
		text = append(text, all[i].String())
	}
	return strings.Join(text, ", ")
}
