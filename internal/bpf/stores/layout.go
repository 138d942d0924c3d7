// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package stores

import (
	"encoding/binary"
	"slices"
)

// word is an aligned part of a value that is stored at once.
type word struct {
	at, size int
	// bits are those to store, as a number in the machine's byte order.
	bits uint64
	how  how
}

// how a word is stored.
type how int

const (
	// whole words have no bits of anybody else.
	whole how = iota
	// atomic words are changed by one atomic operation: others' bits in them stay as they are.
	atomic
	// plain words are loaded, changed and stored: what another CPU writes between the two is lost. They
	// are single bytes, where no word of an atomic operation fits into the value.
	plain
)

// piece is a part of a value that one program stores.
type piece struct {
	from, to int
	words    []word
}

// A piece is bounded, and with it the number of instructions of a program, whose jumps reach 32767 of them.
const (
	pieceBytes = 4096
	pieceWords = 1024
)

// value is how the values of a map are laid out, as far as storing into them is concerned.
type value struct {
	// mask has the bits to store.
	mask []byte
	// align is what values lie at multiples of.
	align int
	// lockAt is the offset of a spin lock, whose bits aren't to be stored; -1 for none.
	lockAt int
}

// pieces are the parts of a value in which bits are to be stored.
func (v value) pieces() (all []piece) {
	var p piece
	for at := 0; at < len(v.mask); at = p.to {
		if at == p.from+pieceBytes || len(p.words) > pieceWords-8 {
			all = appendPiece(all, p)
			p = piece{from: at}
		}
		p.words = v.appendWords(p.words, at, 8)
		p.to = min(at+8, len(v.mask))
	}
	return appendPiece(all, p)
}

func appendPiece(all []piece, p piece) []piece {
	if len(p.words) == 0 {
		return all
	}
	return append(all, p)
}

// appendWords appends the words that store the bits of size bytes. Bytes that are whole are stored as such;
// bits of a byte that is shared are stored with all those around them, so that a bit-field across bytes is
// never seen half written. Not even the bits of others that are left alone may be those of a lock.
func (v value) appendWords(words []word, at, size int) []word {
	fits := at+size <= len(v.mask) && size <= v.align && (v.lockAt < 0 || at+size <= v.lockAt || at >= v.lockAt+lockBytes)
	part := v.mask[min(at, len(v.mask)):min(at+size, len(v.mask))]
	switch {
	case !slices.ContainsFunc(part, func(b byte) bool { return b != 0 }):
		return words
	case fits && !slices.ContainsFunc(part, func(b byte) bool { return b != 0xff }):
		return append(words, word{at: at, size: size, bits: number(part), how: whole})
	case fits && size >= 4 && slices.ContainsFunc(part, func(b byte) bool { return b != 0 && b != 0xff }):
		return append(words, word{at: at, size: size, bits: number(part), how: atomic})
	case size == 1:
		return append(words, word{at: at, size: size, bits: number(part), how: plain})
	}
	words = v.appendWords(words, at, size/2)
	return v.appendWords(words, at+size/2, size/2)
}

// number is what 1, 2, 4 or 8 bytes are.
func number(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.NativeEndian.Uint16(b))
	case 4:
		return uint64(binary.NativeEndian.Uint32(b))
	}
	return binary.NativeEndian.Uint64(b)
}

// has says whether some word is stored like that.
func has(all []piece, h how) bool {
	return slices.ContainsFunc(all, func(p piece) bool {
		return slices.ContainsFunc(p.words, func(w word) bool { return w.how == h })
	})
}
