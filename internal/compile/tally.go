// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

const (
	// maxExamples is how many of the items that are left out are told, for each reason.
	maxExamples = 3
	// maxExampleBytes bounds what is told of one of them.
	maxExampleBytes = 200
)

// leftOutReasons is v1alpha1.LeftOutReasons, of which tally has one count each.
var leftOutReasons = v1alpha1.LeftOutReasons()

// tally counts what became of items.
type tally struct {
	// items are all that were read; entries are those that are in the map, and gone those whose time is over.
	items, entries, gone int64
	// invalid are the items that limits.maxInvalid may tolerate.
	invalid problems
	leftOut []leftOut // as leftOutReasons; nil for none
}

type leftOut struct {
	count    int64
	examples []string
}

// leave counts items that are left out. example is called for the first few.
func (t *tally) leave(reason string, n int64, example func() string) {
	if t.leftOut == nil {
		t.leftOut = make([]leftOut, len(leftOutReasons))
	}
	l := &t.leftOut[slices.Index(leftOutReasons, reason)]
	if l.count += n; example != nil && len(l.examples) < maxExamples {
		l.examples = append(l.examples, text.Truncate(example(), maxExampleBytes))
	}
}

// of is how many items were left out for a reason.
func (t *tally) of(reason string) int64 {
	if t.leftOut == nil {
		return 0
	}
	return t.leftOut[slices.Index(leftOutReasons, reason)].count
}

// add adds what a part of the items became. Its examples begin with where, if there are several parts.
func (t *tally) add(of *tally, where string) {
	t.items, t.entries, t.gone = t.items+of.items, t.entries+of.entries, t.gone+of.gone
	t.invalid.total += of.invalid.total
	t.invalid.list = append(t.invalid.list, of.invalid.list[:min(len(of.invalid.list), maxShown-len(t.invalid.list))]...)
	for i, l := range of.leftOut {
		if l.count == 0 {
			continue
		}
		t.leave(leftOutReasons[i], l.count, nil)
		mine := &t.leftOut[i]
		for _, example := range l.examples[:min(len(l.examples), maxExamples-len(mine.examples))] {
			mine.examples = append(mine.examples, text.Truncate(where+example, maxExampleBytes))
		}
	}
}

// told are the items that are left out, as the status has them.
func (t *tally) told() (list []v1alpha1.LeftOut) {
	for i, l := range t.leftOut {
		if l.count > 0 {
			list = append(list, v1alpha1.LeftOut{Reason: leftOutReasons[i], Count: l.count, Examples: slices.Clone(l.examples)})
		}
	}
	return list
}

// summary is "2 Invalid, 7 Repeated".
func summary(list []v1alpha1.LeftOut) string {
	parts := make([]string, len(list))
	for i, l := range list {
		parts[i] = fmt.Sprintf("%d %s", l.Count, l.Reason)
	}
	return strings.Join(parts, ", ")
}

// Summary is what was left out: "2 Invalid, 7 Repeated"; empty for nothing.
func (r *SourceReport) Summary() string { return summary(r.LeftOut) }

// element is one of spec.entriesFrom while its sources are read.
type element struct {
	index    int
	from     *v1alpha1.EntrySource
	name     string
	limits   limits
	isSecret bool
	tally
	bytes   int64
	digests []string
	expiry  int64 // the next one in seconds since 1970, never for none
	problem string
	// lifetime is that of its entries; nil for none.
	lifetime *lifetime
}

func newElement(index int, from *v1alpha1.EntrySource) element {
	e := element{index: index, from: from, isSecret: isSecret(*from), expiry: never}
	if from.ConfigMapSelector != nil {
		e.name = selectorName(from.ConfigMapSelector)
	}
	return e
}

// place is where the element is in the spec.
func (e *element) place() string {
	if e.name == "" {
		return fmt.Sprintf("spec.entriesFrom[%d]", e.index)
	}
	return fmt.Sprintf("spec.entriesFrom[%d] (%s)", e.index, e.name)
}

// digest is that of what was read; of several documents it is one over theirs.
func (e *element) digest() string {
	if len(e.digests) < 2 {
		return strings.Join(e.digests, "")
	}
	return digestOf([]byte(strings.Join(e.digests, "\n")))
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (e *element) report() SourceReport {
	r := SourceReport{Index: e.index, Name: e.name, Digest: e.digest(), Bytes: e.bytes, Entries: e.entries, LeftOut: e.told(), Problem: e.problem}
	if e.expiry != never {
		r.NextChange = time.Unix(e.expiry, 0).UTC()
	}
	return r
}
