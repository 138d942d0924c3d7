// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"cmp"
	"fmt"
	"strings"
)

// Formatter prints keys and values for people. The layouts of package schema are formatters.
type Formatter interface {
	Format(b []byte) string
}

// Dump is r as text, for golden files and debugging: shape, policies, then one line per entry with its
// bytes in hex. key may be nil for keyless types.
func (r *Revision) Dump(key, value Formatter) string {
	var b strings.Builder
	fmt.Fprintf(&b, "map %s\n", r.Key)
	fmt.Fprintf(&b, "shape %s key %d value %d max %d flags %s name %s\n", r.Shape.Type, r.Shape.KeySize,
		r.Shape.ValueSize, r.Shape.MaxEntries, flagText(r.Shape.Flags), r.Shape.Name)
	if in := r.Shape.Inner; in != nil {
		fmt.Fprintf(&b, "inner %s key %d value %d max %d flags %s\n", in.Type, in.KeySize, in.ValueSize, in.MaxEntries, flagText(in.Flags))
	}
	if r.Shape.MapExtra != 0 {
		fmt.Fprintf(&b, "map_extra %d\n", r.Shape.MapExtra)
	}
	if r.Shape.ExclusiveProgram != "" {
		fmt.Fprintf(&b, "exclusive program %s\n", r.Shape.ExclusiveProgram)
	}
	fmt.Fprintf(&b, "policy sync %s drift %s replace %s deletion %s freeze %t\n", r.Policy.Sync, r.Policy.Drift,
		r.Policy.Replace, cmp.Or(r.Policy.Deletion, "ByOrigin"), r.Policy.Freeze)
	if r.Policy.Adoption != "" {
		fmt.Fprintf(&b, "adoption %s\n", r.Policy.Adoption)
	}
	fmt.Fprintf(&b, "pin %s mode %04o owner %d:%d\n", r.Pin.Path, r.Pin.Mode, r.Pin.UID, r.Pin.GID)
	fmt.Fprintf(&b, "digest %s\n", r.Digest)
	for _, l := range r.References {
		fmt.Fprintf(&b, "link %s %s\n", l.Type, l.Name)
	}
	c := &r.Contents
	for i := range c.InOrder(r.Shape) {
		if c.KeySize > 0 {
			fmt.Fprintf(&b, "%s = ", key.Format(c.Key(i)))
		}
		if cpus, ok := c.PerCPU(i); ok {
			for cpu := range len(cpus) / c.ValueSize {
				v := cpus[cpu*c.ValueSize : (cpu+1)*c.ValueSize]
				fmt.Fprintf(&b, "cpu%d %s (%x) ", cpu, value.Format(v), v)
			}
			b.WriteString("\n")
			continue
		}
		fmt.Fprintf(&b, "%s (%x = %x)\n", value.Format(c.Value(i)), c.Key(i), c.Value(i))
	}
	return b.String()
}
