// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// stride is how many bytes one value of a shape takes on this node.
func stride(s revision.Shape, cpus int) int {
	if s.IsPerCPU() {
		return cpus * ((int(s.ValueSize) + 7) &^ 7)
	}
	return int(s.ValueSize)
}

// links are what the names in a revision's entries stand for on this node.
type links struct {
	targets map[uint32]Target // by symbol
	// waits says, by symbol, what isn't there yet.
	waits map[uint32]string
	// trace tells two outcomes apart.
	trace string
}

// close gives the targets up.
func (l *links) close() {
	for _, t := range l.targets {
		if t.Close != nil {
			_ = t.Close() // opened to be written into a map; that is done or has failed
		}
	}
}

// findLinks asks the backend for every link of a revision.
func findLinks(ctx context.Context, b Backend, rev *revision.Revision) (*links, error) {
	found := &links{targets: map[uint32]Target{}, waits: map[uint32]string{}}
	if len(rev.Links) == 0 {
		return found, nil
	}
	var trace strings.Builder
	for _, l := range rev.Links {
		symbol := schema.Symbol(l)
		target, err := b.Link(ctx, rev.Key, l)
		switch {
		case errors.Is(err, ErrAbsent):
			found.waits[symbol] = err.Error()
			fmt.Fprintf(&trace, "%08x absent\n", symbol)
			continue
		case err != nil:
			found.close()
			return nil, fmt.Errorf("find %s %s: %w", l.Type, l.Name, err)
		}
		found.targets[symbol] = target
		fmt.Fprintf(&trace, "%08x %d\n", symbol, target.Read)
		if err := checkInner(rev, l, target); err != nil {
			found.close()
			return nil, err
		}
	}
	sum := sha256.Sum256([]byte(trace.String()))
	found.trace = "+" + hex.EncodeToString(sum[:8])
	return found, nil
}

// checkInner refuses a map that the kernel wouldn't take into the outer one.
func checkInner(rev *revision.Revision, l v1alpha1.Reference, target Target) error {
	if l.Type != v1alpha1.TypeMapRef || rev.Shape.Inner == nil || target.Shape == nil {
		return nil
	}
	differences := rev.Shape.Inner.InnerDifferences(*target.Shape)
	if len(differences) == 0 {
		return nil
	}
	list := make([]string, len(differences))
	for i, d := range differences {
		list[i] = d.String()
	}
	return &Error{v1alpha1.NodeReasonInvalidReference, fmt.Errorf(
		"BPFMap %s is not what spec.inner says (%s): make them alike", l.Name, strings.Join(list, "; "))}
}

// linked are a revision's entries as this node's kernel shows them.
type linked struct {
	entries revision.Entries
	// held are the sorted keys of entries that wait for what their values name: what is at them stays.
	held []byte
	// waiting is how many entries wait, and for what.
	waiting int
	waits   []string
}

// link turns a revision's entries into what this node's kernel shows: names become numbers, and the
// values of per-CPU maps are spread over all possible CPUs.
func link(rev *revision.Revision, cpus int, found *links) (linked, error) {
	l := linked{entries: rev.Contents.Flat(rev.Shape)}
	if len(rev.Links) > 0 {
		var err error
		if l, err = resolve(rev, found); err != nil {
			return linked{}, err
		}
	}
	if !rev.Shape.IsPerCPU() || rev.Shape.IsFilledAtRuntime() {
		return l, nil
	}
	var err error
	l.entries, err = spread(rev.Shape, &l.entries, cpus)
	return l, err
}

// spread gives each possible CPU its value.
func spread(shape revision.Shape, from *revision.Entries, cpus int) (revision.Entries, error) {
	spread := revision.Entries{
		KeySize: from.KeySize, ValueSize: stride(shape, cpus), Len: from.Len, Keys: from.Keys,
		Values: make([]byte, from.Len*stride(shape, cpus)),
	}
	slot := spread.ValueSize / cpus
	for i := range from.Len {
		to := spread.Value(i)
		each, listed := from.PerCPU[i]
		if listed && len(each) != cpus*from.ValueSize {
			return revision.Entries{}, &Error{v1alpha1.NodeReasonInvalidRevision, fmt.Errorf(
				"entry %d lists the values of %d CPUs, this node has %d possible CPUs", i, len(each)/from.ValueSize, cpus)}
		}
		for cpu := range cpus {
			value := from.Value(i)
			if listed {
				value = each[cpu*from.ValueSize : (cpu+1)*from.ValueSize]
			}
			copy(to[cpu*slot:], value)
		}
	}
	return spread, nil
}

// resolver replaces symbols by what they stand for.
type resolver struct {
	found      *links
	key, value []schema.LinkField
	waits      map[string]bool
}

func newResolver(rev *revision.Revision, found *links) (*resolver, error) {
	r := &resolver{found: found, waits: map[string]bool{}}
	for _, s := range []struct {
		schema *v1alpha1.Schema
		to     *[]schema.LinkField
	}{{rev.KeySchema, &r.key}, {&rev.ValueSchema, &r.value}} {
		if s.schema == nil {
			continue
		}
		layout, err := schema.New(s.schema)
		if err != nil {
			return nil, &Error{v1alpha1.NodeReasonInvalidRevision, err}
		}
		*s.to = layout.Links()
	}
	return r, nil
}

// put replaces the symbols in b, and says whether all stand for something.
func (r *resolver) put(fields []schema.LinkField, b []byte) (there bool, err error) {
	there = true
	for _, f := range fields {
		symbol := f.Symbol(b)
		if symbol == 0 {
			continue
		}
		target, ok := r.found.targets[symbol]
		if ok {
			f.Put(b, target.Read)
			continue
		}
		wait, ok := r.found.waits[symbol]
		if !ok {
			return false, &Error{v1alpha1.NodeReasonInvalidRevision, fmt.Errorf("an entry holds the symbol %08x, which stands for no link of the revision", symbol)}
		}
		there, r.waits[wait] = false, true
	}
	return there, nil
}

// resolve replaces the symbols of all entries. Those that wait are left out.
func resolve(rev *revision.Revision, found *links) (linked, error) {
	r, err := newResolver(rev, found)
	if err != nil {
		return linked{}, err
	}
	flat := rev.Contents.Flat(rev.Shape)
	from := &flat
	l := linked{entries: revision.Entries{
		KeySize: from.KeySize, ValueSize: from.ValueSize, Keys: make([]byte, 0, len(from.Keys)), Values: make([]byte, 0, len(from.Values)),
	}}
	held := revision.Entries{KeySize: from.KeySize}
	var key, value []byte // scratch
	for i := range from.Len {
		key, value = append(key[:0], from.Key(i)...), append(value[:0], from.Value(i)...)
		each, listed := from.PerCPU[i]
		if listed {
			value = append(value[:0], each...)
		}
		keyThere, err := r.put(r.key, key)
		if err != nil {
			return linked{}, err
		}
		valueThere := true
		for at := 0; at < len(value); at += from.ValueSize {
			there, err := r.put(r.value, value[at:at+from.ValueSize])
			if err != nil {
				return linked{}, err
			}
			valueThere = valueThere && there
		}
		switch {
		case keyThere && valueThere:
			l.entries.Append(key, value, listed)
		case keyThere:
			held.Append(key, nil, false)
			l.waiting++
		default:
			l.waiting++
		}
	}
	return r.finish(rev.Shape, l, held)
}

// finish sorts what names have put into another order.
func (r *resolver) finish(shape revision.Shape, l linked, held revision.Entries) (linked, error) {
	l.entries, _ = l.entries.Sorted(shape)
	held, _ = held.Sorted(shape)
	l.held = held.Keys
	for i := 1; i < l.entries.Len && !shape.IsKeyless(); i++ {
		if bytes.Equal(l.entries.Key(i-1), l.entries.Key(i)) {
			return linked{}, &Error{v1alpha1.NodeReasonInvalidReference, fmt.Errorf("two entries have the same key %x on this node: their names stand for the same", l.entries.Key(i))}
		}
	}
	l.waits = slices.Sorted(maps.Keys(r.waits))
	return l, nil
}

// writes turns packed values as the kernel shows them into values as it takes them: ids become file
// descriptors.
func (s *session) writes(values []byte) ([]byte, error) {
	if len(s.rev.Links) == 0 || !s.rev.Shape.TakesFDs() {
		return values, nil
	}
	r, err := newResolver(s.rev, s.links)
	if err != nil {
		return nil, err
	}
	taken := map[v1alpha1.ScalarType]map[uint64]uint64{}
	for _, l := range s.rev.Links {
		if t, ok := s.links.targets[schema.Symbol(l)]; ok {
			if taken[l.Type] == nil {
				taken[l.Type] = map[uint64]uint64{}
			}
			taken[l.Type][t.Read] = t.Write
		}
	}
	out := bytes.Clone(values)
	for at := 0; at < len(out); at += s.entries.ValueSize {
		for _, f := range r.value {
			value := out[at : at+s.entries.ValueSize]
			if fd, ok := taken[f.Type][f.Get(value)]; ok {
				f.Put(value, fd)
			}
		}
	}
	return out, nil
}

// locked is m, read and written under its values' locks if they have any.
func (s *session) locked(m Map) Map {
	if m == nil || !s.rev.HasSpinLock() {
		return m
	}
	return m.Locked()
}
