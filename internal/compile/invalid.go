// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"hash/maphash"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// invalid takes note of an item that can't be an entry. Whether it is tolerated is decided once all are read.
func (p *sourcePacker) invalid(line int, where, message string) error {
	return p.note(line, where, func() string { return message })
}

// invalidPart does that for a part of an item. What is wrong with it isn't said of a Secret's text.
func (p *sourcePacker) invalidPart(line int, where string, l *schema.Layout, err error) error {
	path, message := "", ""
	switch {
	case !p.element.isSecret:
		var all problems
		all.addAt("", err)
		path, message = all.list[0].Path, all.list[0].Message
	case l == nil:
		message = "is not valid" + notShown
	default:
		path, message = hidden(l, err)
	}
	return p.note(line, where+path, func() string { return message })
}

func (p *sourcePacker) note(line int, where string, message func() string) error {
	d := p.document
	if len(d.invalid.list) < maxShown {
		d.invalid.add(fmt.Sprintf("%s line %d%s", p.source.place(), line, where), "%s", message())
	} else {
		d.invalid.total++
	}
	d.leave(v1alpha1.LeftOutInvalid, 1, func() string { return fmt.Sprintf("line %d%s: %s", line, where, message()) })
	if int64(d.invalid.total) >= p.most {
		return errStop
	}
	return nil
}

// filter tells which texts it has seen, most of the time: of a text that is new it may say that it has.
type filter struct {
	bits []uint64
	seed maphash.Seed
}

// filterBits is how many bits a filter has.
const filterBits = 1 << 26

func newFilter() *filter {
	return &filter{bits: make([]uint64, filterBits/64), seed: maphash.MakeSeed()}
}

// add notes a text and says whether it was there. Nil never is.
func (f *filter) add(text []byte) bool {
	if text == nil {
		return false
	}
	at := maphash.Bytes(f.seed, text) % filterBits
	bit := uint64(1) << (at % 64)
	had := f.bits[at/64]&bit != 0
	f.bits[at/64] |= bit
	return had
}
