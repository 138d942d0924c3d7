// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"regexp"

	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// mapExtra is the kernel's map_extra: what hashFunctions or mapExtra says.
func (c *compiler) mapExtra(t *maptype.Type) uint64 {
	s := c.spec
	if s.HashFunctions != 0 && (s.HashFunctions < 1 || int(s.HashFunctions) > t.HashFunctions) {
		c.problems.add("spec.hashFunctions", "%d: %s", s.HashFunctions, hashFunctionsOf(t))
	}
	if t.HashFunctions > 0 && s.MapExtra == 0 {
		return uint64(s.HashFunctions)
	}
	if s.MapExtra != 0 || t.Extra == maptype.Address {
		c.checkMapExtra(t)
	}
	return uint64(s.MapExtra)
}

// hashFunctionsOf says how many hash functions a type takes.
func hashFunctionsOf(t *maptype.Type) string {
	if t.HashFunctions == 0 {
		return t.Name + " does not have hash functions: leave it out"
	}
	return fmt.Sprintf("a %s takes 1…%d", t.Name, t.HashFunctions)
}

// The limits of an arena, with pages of 4 KiB: nodes with larger ones say so at creation.
const (
	// maxArenaPages are 4 GiB (SZ_4G in kernel/bpf/arena.c).
	maxArenaPages = 4 << 30 / pageSize
	// maxAddress is above what user space has on any architecture.
	maxAddress = 1<<56 - 1
)

func (c *compiler) checkMapExtra(t *maptype.Type) {
	extra, n := c.spec.MapExtra, c.spec.MaxEntries
	const at = "spec.mapExtra"
	switch {
	case t.Extra == maptype.NoExtra && t.HashFunctions > 0:
		c.problems.add(at, "%d: the hash functions of a %s are given by hashFunctions", extra, t.Name)
	case t.Extra == maptype.NoExtra:
		c.problems.add(at, "%d: a %s takes none: leave it out", extra, t.Name)
	case extra < 0:
		c.problems.add(at, "%d is negative", extra)
	case t.Extra == maptype.SizeHint && extra > min(maptype.MaxSizeHint, n):
		c.problems.add(at, "%d: the entries for which an %s is made at first are at most %d and maxEntries, %d", extra, t.Name, maptype.MaxSizeHint, n)
	case t.Extra == maptype.SizeHint:
	case n > maxArenaPages:
		c.problems.add("spec.maxEntries", "%d: an %s has at most %d pages of %d bytes, 4 GiB", n, t.Name, maxArenaPages, pageSize)
	case extra > maxAddress || extra%pageSize != 0:
		c.problems.add(at, "%#x is not an address that a process can map an %s at: a multiple of the page size, %d, up to %#x", extra, t.Name, pageSize, maxAddress)
	case extra != 0 && extra>>32 != (extra+n*pageSize-1)>>32:
		c.problems.add(at, "%#x: %d pages of %d bytes from there on reach across %#x, a multiple of 4 GiB, which the kernel refuses: set a lower address or fewer maxEntries",
			extra, n, pageSize, (extra>>32+1)<<32)
	}
}

// programHash is a SHA-256 as text.
var programHash = regexp.MustCompile("^[0-9a-f]{64}$")

func (c *compiler) checkExclusive() {
	if hash := c.spec.ExclusiveProgramHash; hash != "" && !programHash.MatchString(hash) {
		c.problems.add("spec.exclusiveProgramHash", "%q is not a SHA-256 of 64 lower-case hexadecimal digits", hash)
	}
}
