// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package mapdef

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// Declaration is what the API makes of a definition.
type Declaration struct {
	Spec v1alpha1.BPFMapSpec
	// Remarks are whole sentences about what the spec can't say.
	Remarks []string
}

// NotOffered is a type that the API doesn't offer.
type NotOffered struct{ Type, Reason string }

// Error is the type and the reason.
func (e *NotOffered) Error() string {
	return fmt.Sprintf("type %s is not offered: %s", e.Type, e.Reason)
}

func typeName(number uint32) string {
	if t := maptype.ByNumber(number); t != nil {
		return t.Name
	}
	return strconv.FormatUint(uint64(number), 10)
}

// Declare makes the spec of a map. cpus is how many possible CPUs there are: where a source leaves the capacity
// of a PerfEventArray to the loader, that is it. The error is a *NotOffered, or says which property no BPFMap
// can have.
func (d *Definition) Declare(cpus int) (Declaration, error) {
	t := d.traits()
	switch {
	case t == nil:
		return Declaration{}, &NotOffered{d.TypeName(), "this version doesn't know it"}
	case !t.IsOffered():
		return Declaration{}, &NotOffered{t.Name, t.NotOffered}
	}
	w := writer{definition: d, traits: t, path: "spec"}
	s := v1alpha1.BPFMapSpec{Type: v1alpha1.MapType(t.Name), Freeze: d.Frozen}
	s.Key = w.key()
	s.Value = w.value()
	s.Flags = w.flags()
	s.MaxEntries = w.maxEntries(cpus)
	switch {
	case t.HashFunctions > 0 && d.Extra <= uint64(t.HashFunctions):
		s.HashFunctions = int32(d.Extra) //nolint:gosec // at most as many as the type has
	case t.Extra != maptype.NoExtra && d.Extra <= math.MaxInt64:
		s.MapExtra = int64(d.Extra)
	case d.Extra != 0:
		w.remark("map_extra %#x can't be declared for this type", d.Extra)
	}
	if d.Flags&maptype.NUMANode != 0 {
		if d.NUMANode <= math.MaxInt32 {
			s.NUMANode = new(int32(d.NUMANode))
		} else { // the kernel's NUMA_NO_NODE is all bits
			w.remark("NUMA node %d can't be declared, and is left out", d.NUMANode)
		}
	}
	if t.MapOfMaps {
		inner, err := w.inner(cpus)
		if err != nil {
			return Declaration{}, err
		}
		s.Inner = inner
	}
	return Declaration{Spec: s, Remarks: w.remarks}, nil
}

// writer makes one spec.
type writer struct {
	definition *Definition
	traits     *maptype.Type
	path       string // of the map in the spec: "spec" or "spec.inner"
	remarks    []string
}

func (w *writer) remark(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if w.path != "spec" {
		text = "in inner maps, " + text
	}
	w.remarks = append(w.remarks, strings.ToUpper(text[:1])+text[1:]+".")
}

// maxEntries is the capacity that a loader asks the kernel for.
func (w *writer) maxEntries(cpus int) int64 {
	n := int64(w.definition.MaxEntries)
	switch {
	case w.traits.Capacity == maptype.Unbounded:
		return 0
	case w.traits.Capacity == maptype.Bytes:
		if rounded := wholePages(n); n != 0 && rounded != n {
			w.remark("the source's max_entries is %d: loaders round the size of a ring buffer up to %d", n, rounded)
			return rounded
		}
	case n == 0 && w.traits.Name == string(v1alpha1.MapTypePerfEventArray):
		w.remark("the source's max_entries is not set: loaders take the number of possible CPUs, which was %d here", cpus)
		return int64(cpus)
	}
	if n == 0 {
		w.remark("the source's max_entries is not set: the loader does it at run time, so write its number in place of the 1")
		return 1
	}
	return n
}

// smallestPage is the page size of most machines, and the smallest one that the kernel has.
const smallestPage = 4096

// wholePages is the smallest power of two of n bytes or more that is whole pages.
func wholePages(n int64) int64 {
	size := int64(smallestPage)
	for size < n {
		size *= 2
	}
	return size
}

// flags are the names of the flags that a spec takes.
func (w *writer) flags() []v1alpha1.MapFlag {
	set := w.definition.Flags &^ maptype.NUMANode
	var names []v1alpha1.MapFlag
	for _, f := range (set & w.traits.Flags).Split() {
		names = append(names, v1alpha1.MapFlag(f.Name))
	}
	if rest := set &^ w.traits.Flags; rest != 0 {
		w.remark("the map has flags that can't be declared for this type: %s", flagText(rest))
	}
	return names
}

// flagText names flags as the kernel does, and those without a name as a number.
func flagText(set maptype.Flags) string {
	var names []string
	for _, f := range set.Split() {
		names = append(names, f.UAPIName())
		set &^= f.Bit
	}
	if set != 0 {
		names = append(names, fmt.Sprintf("%#x", uint32(set)))
	}
	return maptype.List(names)
}

// inner is the spec of the maps in a map of maps.
func (w *writer) inner(cpus int) (*v1alpha1.InnerMap, error) {
	d := w.definition.Inner
	if d == nil {
		return nil, fmt.Errorf("what its inner maps look like is not known, which %s needs", w.traits.Name)
	}
	t := d.traits()
	if t == nil || !t.IsOffered() || t.Inner == maptype.NotInner {
		return nil, fmt.Errorf("its inner maps are of type %s, which can't be declared", d.TypeName())
	}
	in := writer{definition: d, traits: t, path: "spec.inner"}
	inner := &v1alpha1.InnerMap{Type: v1alpha1.MapType(t.Name), Key: in.key(), Value: in.value(), Flags: in.flags(), MaxEntries: in.maxEntries(cpus)}
	if d.Flags&maptype.NUMANode != 0 {
		in.remark("they are on NUMA node %d, which can't be declared", d.NUMANode)
	}
	if d.Extra != 0 {
		in.remark("map_extra %#x can't be declared", d.Extra)
	}
	w.remarks = append(w.remarks, in.remarks...)
	return inner, nil
}

// usable says why a schema is none of a key or value of a size in bytes.
func (*writer) usable(s *v1alpha1.Schema, size uint32) error {
	l, err := schema.New(s)
	if err != nil {
		return err
	}
	if l.Size() != int(size) {
		return fmt.Errorf("its type has %d bytes, the map's has %d", l.Size(), size)
	}
	return nil
}
