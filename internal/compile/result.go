// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"time"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/sighting"
)

// Input is what a BPFMap is compiled with.
type Input struct {
	// Sources are the data of spec.entriesFrom, in its order.
	Sources []Source
	// Cache may be nil. It makes sources that haven't changed cheap.
	Cache *Cache
	// Now decides which entries have expired; none has if it is zero.
	Now time.Time
	// InUse is what the map holds, which limits.maxChange compares with; nil if nothing is known of it.
	InUse *InUse
	// Sightings are when sources with expireAfter held their keys first, as far as it is remembered.
	Sightings sighting.Table
}

// InUse is what a map holds before it is compiled anew.
type InUse struct {
	// Sources are what its contents were read from.
	Sources []v1alpha1.SourceStatus
	// Contents reads them; nil if there are none. It is called at most once, and only if a limit depends on it.
	Contents func() (*revision.Revision, error)
}

// Result is what a BPFMap compiles to.
type Result struct {
	// Revision is nil if there is an error.
	Revision *revision.Revision
	// Sources are what was read from each element of spec.entriesFrom, in their order, as far as it was read.
	Sources []SourceReport
	// NextChange is when compiling again gives something else, though nothing has changed: when the next entry expires. It
	// is zero for never.
	NextChange time.Time
	// Sightings are those of Input with what the sources hold now. They have to be remembered before the revision is used.
	// They are empty if there is an error: what is refused wasn't seen.
	Sightings sighting.Table
}

// SourceReport is what was read from one element of spec.entriesFrom. No text of a Secret is in it.
type SourceReport struct {
	// Index is that of the element, and Name says where its data are from.
	Index int
	Name  string
	// Digest is the SHA-256 of the data, "sha256:…"; empty if they weren't read. Bytes is their length.
	Digest string
	Bytes  int64
	// Entries is how many entries they make.
	Entries int64
	// LeftOut are the items that make none, by reason.
	LeftOut []v1alpha1.LeftOut
	// NextChange is when the next of its entries expires, zero for never.
	NextChange time.Time
	// Problem is why the data can't be used; empty if they can, for what they are alone.
	Problem string
}

// Run checks and compiles m with its sources. Name and Number of the revision are empty: what stores it gives them. The
// error is an *Error that lists what is wrong and where, or a *LoadError; the result has what was read of the sources
// then, too.
func Run(m *v1alpha1.BPFMap, in Input) (*Result, error) {
	c := newCompiler(m, in.Sources)
	c.in, c.allowed = in, m.Annotations[v1alpha1.AnnotationAllowChange]
	c.cache = in.Cache.session(revision.Key{Namespace: m.Namespace, Name: m.Name})
	rev, err := c.compile(m)
	c.cache.end(err == nil)
	result := &Result{Revision: rev}
	if err == nil {
		result.Sightings = c.seen.table
	}
	for i := range c.elements {
		report := c.elements[i].report()
		if next := report.NextChange; !next.IsZero() && (result.NextChange.IsZero() || next.Before(result.NextChange)) {
			result.NextChange = next
		}
		result.Sources = append(result.Sources, report)
	}
	return result, err
}
