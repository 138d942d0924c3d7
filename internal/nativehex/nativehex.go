// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nativehex lets tests write bytes as text that holds on machines of either byte order.
package nativehex

import (
	"encoding/binary"
	"regexp"
	"slices"
	"strings"
)

var group = regexp.MustCompile(`<((?:[0-9a-f]{2})+)(?:\|((?:[0-9a-f]{2})+))?>`)

var bigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

// Text is text with each group of hex digits in angle brackets as this machine has them; what is outside of such
// groups stays. <07000000> is a number in the machine's byte order, written as a little-endian machine has it, and
// becomes 00000007 on a big-endian one. <6d02|ba40> gives the bytes of both, little-endian first: bit-fields aren't
// each other's reverse.
func Text(text string) string { return textFor(text, bigEndian) }

func textFor(text string, big bool) string {
	return group.ReplaceAllStringFunc(text, func(match string) string {
		parts := group.FindStringSubmatch(match)
		little, other := parts[1], parts[2]
		switch {
		case !big:
			return little
		case other != "":
			return other
		}
		return reversed(little)
	})
}

// reversed has the bytes of digits, of which there are two for each, in the other order.
func reversed(digits string) string {
	var bytes []string
	for pair := range slices.Chunk([]byte(digits), 2) {
		bytes = append(bytes, string(pair))
	}
	slices.Reverse(bytes)
	return strings.Join(bytes, "")
}
