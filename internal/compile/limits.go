// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// limits are those of an element, read.
type limits struct {
	// invalid is how many items may be invalid, of all if it is a percentage.
	invalid, minEntries int64
	isPercent           bool
	// change is the percentage of entries that may change, less than 0 for any.
	change int64
}

// limitsOf reads the limits of an element. What is wrong with them is among the problems.
func (c *compiler) limitsOf(e *element) limits {
	l := limits{change: -1}
	given := e.from.Limits
	if given == nil {
		return l
	}
	path := fmt.Sprintf("spec.entriesFrom[%d].limits", e.index)
	if v := given.MaxInvalid; v != nil {
		var ok bool
		if l.invalid, l.isPercent, ok = count(*v); !ok {
			c.problems.add(path+".maxInvalid", "%q is not a number of items, such as 10, or a percentage, such as 1%%", v.String())
		}
	}
	if given.MinEntries != nil {
		if l.minEntries = int64(*given.MinEntries); l.minEntries < 1 {
			c.problems.add(path+".minEntries", "%d is out of range: at least 1", l.minEntries)
		}
	}
	if given.MaxChange != "" {
		n, isPercent, ok := count(intstr.FromString(given.MaxChange))
		if !ok || !isPercent {
			c.problems.add(path+".maxChange", "%q is not a percentage, such as 20%%", given.MaxChange)
		}
		l.change = n
	}
	return l
}

// maxLimit bounds the numbers in limits, as the CRD does.
const maxLimit = 999999999

// count reads a number or a percentage.
func count(v intstr.IntOrString) (n int64, isPercent, ok bool) {
	if v.Type == intstr.Int {
		return int64(v.IntVal), false, v.IntVal >= 0 && v.IntVal <= maxLimit
	}
	digits, isPercent := strings.CutSuffix(v.StrVal, "%")
	u, err := strconv.ParseUint(digits, 10, 32)
	return int64(u), isPercent, err == nil && u <= maxLimit
}

// tolerated is how many of so many items may be invalid.
func (l *limits) tolerated(items int64) int64 {
	if l.isPercent {
		return items * l.invalid / 100
	}
	return l.invalid
}

// finish holds what was read from an element to its limits, but maxChange. Of what couldn't be read, which the caller
// knows, it isn't said as well that it is too little.
func (c *compiler) finish(e *element, isRead bool) {
	if n, most := int64(e.invalid.total), e.limits.tolerated(e.items); n > most {
		c.problems.reason = v1alpha1.ReasonInvalidSource
		c.problems.addAll(&e.invalid)
		if e.limits.invalid > 0 {
			c.refuse(e, "%d of %s are invalid, more than the %d that limits.maxInvalid (%s) allows",
				n, text.Count(e.items, "item", "items"), most, e.from.Limits.MaxInvalid.String())
		}
		return
	}
	if n := e.entries + e.gone; isRead && n < e.limits.minEntries {
		c.refuse(e, "makes %s, fewer than limits.minEntries %d", text.Count(n, "entry", "entries"), e.limits.minEntries)
	}
}

// refuse says why the contents of an element can't be used.
func (c *compiler) refuse(e *element, format string, args ...any) {
	c.problems.reason = v1alpha1.ReasonInvalidSource
	c.problems.add(e.place(), format, args...)
	if e.problem == "" {
		e.problem = text.Truncate(fmt.Sprintf(format, args...), maxProblem)
	}
}

// maxProblem bounds what a report says of one source's problem, in bytes.
const maxProblem = 1024

// generated is a name that kustomize made of one and a hash of the contents, which changes with them.
var generated = regexp.MustCompile(`-[2456789bcdfghkmt]{10}(,|$)`)

// sameSource says whether two names of sources are of one, whose name may have a hash.
func sameSource(a, b string) bool {
	return a == b || generated.ReplaceAllString(a, "$1") == generated.ReplaceAllString(b, "$1")
}

// before is what the contents in use were read from for an element, nil if that isn't known. An element keeps its
// contents when others are put before it.
func (c *compiler) before(e *element) *v1alpha1.SourceStatus {
	if c.in.InUse == nil {
		return nil
	}
	was := FindSource(c.in.InUse.Sources, e.index, e.name)
	if was == nil || was.Digest == "" {
		return nil
	}
	return was
}

// FindSource is what is known of an element of entriesFrom from before, nil if nothing is. An element is known by its
// name, also when others were put before it, or when kustomize has given it another hash.
func FindSource(known []v1alpha1.SourceStatus, index int, name string) (found *v1alpha1.SourceStatus) {
	for i := range known {
		s := &known[i]
		if sameSource(s.Name, name) && (found == nil || int(s.Index) == index) {
			found = s
		}
	}
	return found
}

// checkChanges holds the elements whose contents have changed to limits.maxChange. What each entry would become is
// compared with the map's contents in use; how many an element loses follows from how many it had. Entries whose lifetime
// has ended are no change of the contents.
func (c *compiler) checkChanges(b *builder) {
	old := (*revision.Contents)(nil)
	for i := range c.elements {
		e := &c.elements[i]
		was := c.before(e)
		if e.limits.change < 0 || was == nil || was.Digest == e.digest() || c.allows(e.digest()) {
			continue
		}
		all := e.heldBefore(was)
		if all == 0 {
			continue
		}
		if old == nil {
			if old = c.contentsInUse(b.shape); old == nil {
				return
			}
		}
		added, changed := b.compare(e, old)
		removed := max(0, was.Entries+added-e.entries-e.ended())
		if total := added + changed + removed; total*100 > e.limits.change*all {
			c.refuse(e, "adds %d, removes %d and changes %d of %s, more than limits.maxChange %s allows; "+
				"to take these contents all the same, set the annotation %s: %s, or raise limits.maxChange",
				added, removed, changed, text.Count(all, "entry", "entries"), e.from.Limits.MaxChange, v1alpha1.AnnotationAllowChange, e.digest())
		}
	}
}

// allows says whether people let contents through.
func (c *compiler) allows(digest string) bool {
	for one := range strings.SplitSeq(c.allowed, ",") {
		if strings.TrimSpace(one) == digest {
			return true
		}
	}
	return false
}

// contentsInUse are the map's contents; nil if there are none to compare with, or they can't be read for now.
func (c *compiler) contentsInUse(shape revision.Shape) *revision.Contents {
	if c.in.InUse.Contents == nil {
		return nil
	}
	rev, err := c.in.InUse.Contents()
	switch {
	case err != nil:
		c.unread = &LoadError{"spec.entriesFrom: limits.maxChange", fmt.Errorf("read the contents in use: %w", err)}
		return nil
	case rev == nil || rev.Shape.Type != shape.Type || rev.Shape.KeySize != shape.KeySize || rev.Shape.ValueSize != shape.ValueSize:
		return nil
	}
	return &rev.Contents
}

// compare counts the entries of an element that other contents don't have, and those that have another value there.
func (b *builder) compare(e *element, old *revision.Contents) (added, changed int64) {
	for i := range b.entriesOf(e) {
		at, found := old.Find(b.shape, b.blocks.key(i))
		if !found {
			added++
			continue
		}
		block, n := b.blocks.at(i)
		before, _ := old.PerCPU(at)
		if !bytes.Equal(old.Value(at), block.Value(n)) || !bytes.Equal(before, block.PerCPU[n]) {
			changed++
		}
	}
	return added, changed
}
