// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// targets are what the names in a revision's entries stand for on this node.
type targets struct {
	bySymbol map[uint32]Target
	// absent says, by symbol, what is not on the node yet.
	absent map[uint32]string
	// trace tells two outcomes apart.
	trace string
}

// lookupTargets asks the backend for every name in a revision.
func lookupTargets(ctx context.Context, b Backend, rev *revision.Revision) (*targets, error) {
	found := &targets{bySymbol: map[uint32]Target{}, absent: map[uint32]string{}}
	if len(rev.References) == 0 {
		return found, nil
	}
	var trace strings.Builder
	for _, l := range rev.References {
		symbol := schema.Symbol(l)
		if number, ok := schema.LinkNumber(l); ok { // the same on every node
			found.bySymbol[symbol] = Target{Read: number, Write: number}
			continue
		}
		target, err := b.Resolve(ctx, rev.Key, l)
		switch {
		case errors.Is(err, ErrAbsent):
			found.absent[symbol] = err.Error()
			fmt.Fprintf(&trace, "%08x absent\n", symbol)
			continue
		case err != nil:
			found.close()
			return nil, fmt.Errorf("look up %s %s: %w", l.Type, l.Name, err)
		}
		found.bySymbol[symbol] = target
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

// names tell what a number is called that a name of the revision stands for here. Two names of one number are
// told as the number: which of them is meant isn't known.
func (t *targets) names(rev *revision.Revision) func(v1alpha1.ScalarType, uint64) (string, bool) {
	type target struct {
		of     v1alpha1.ScalarType
		number uint64
	}
	known := map[target]string{}
	for _, ref := range rev.References {
		found, ok := t.bySymbol[schema.Symbol(ref)]
		if _, isNumber := schema.LinkNumber(ref); !ok || isNumber {
			continue
		}
		at := target{ref.Type, found.Read}
		if _, twice := known[at]; twice {
			known[at] = ""
			continue
		}
		known[at] = ref.Name
	}
	return func(of v1alpha1.ScalarType, number uint64) (string, bool) {
		name := known[target{of, number}]
		return name, name != ""
	}
}

// close gives the targets up. What they stand for can still be read.
func (t *targets) close() {
	for _, target := range t.bySymbol {
		if target.Close != nil {
			_ = target.Close() // opened to be written into a map; that is done or has failed
		}
	}
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

// resolve replaces the symbols in b by what they stand for: as readers see it, or as the kernel takes it.
// What is absent stays, and is noted in absent if that isn't nil. there says that nothing is absent.
func (t *targets) resolve(fields []schema.ReferenceField, b []byte, write bool, absent map[string]bool) (there bool, err error) {
	there = true
	for _, f := range fields {
		symbol := f.Symbol(b)
		if symbol == 0 {
			continue
		}
		if target, ok := t.bySymbol[symbol]; ok {
			number := target.Read
			if write {
				number = target.Write
			}
			f.Put(b, number)
			continue
		}
		why, ok := t.absent[symbol]
		if !ok && f.InUnion {
			continue // another member of the union is there
		}
		if !ok {
			return false, &Error{v1alpha1.NodeReasonInvalidRevision, fmt.Errorf("an entry holds the symbol %08x, which stands for no link of the revision", symbol)}
		}
		if there = false; absent != nil {
			absent[why] = true
		}
	}
	return there, nil
}
