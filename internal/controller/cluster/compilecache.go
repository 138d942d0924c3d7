// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/semaphore"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	recorders "github.com/bpfmap-io/bpfmap-operator/internal/metrics"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	fetched "github.com/bpfmap-io/bpfmap-operator/internal/source"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

const (
	// maxCompiled bounds how many BPFMaps a compileCache remembers.
	maxCompiled = 20000
	// maxRejection bounds, in bytes, what is remembered and told of why a spec didn't compile.
	maxRejection = 8 << 10
	// maxTexts bounds, in bytes, the fetched texts that are in memory at the same time.
	maxTexts = fetched.MaxBytes
)

// compileCache remembers what each generation of a spec and each state of its sources compiled to, but not
// the entries. A map of many entries is reconciled once for every report of every node, and compiled once.
// What it keeps of a BPFMap is small: sums, the names of chunks that may be stored, and a bounded message.
// It is safe for concurrent use with different BPFMaps.
type compileCache struct {
	build recorders.CompileFunc
	// sources keeps packed sources of all BPFMaps, within a bound of its own.
	sources *compile.Cache
	// maxStored is the size in bytes above which contents can't be stored, so that no chunks are remembered.
	maxStored int64
	last      *lru.Cache // of cacheEntry, by the name of the BPFMap
	// texts bounds the long texts that are in memory at the same time.
	texts *semaphore.Weighted
}

type cacheEntry struct {
	uid        types.UID
	generation int64
	sources    sum
	allowed    string // of v1alpha1.AnnotationAllowChange
	compiled   compiled
	rejected   *status.Rejection
	// seen is the number of the sightings that it was compiled with; 0 for none.
	seen uint64
}

// sum is a SHA-256.
type sum = [sha256.Size]byte

// compiled is what the newest revision is to be: what a spec and its sources compile to, or an earlier
// revision.
type compiled struct {
	// identity is that of the revision's spec; see identify.
	identity sum
	// layout is that of the map, see revision.Layout, and group what it belongs to; nil for no group.
	layout string
	group  *v1alpha1.RevisionGroup
	digest string
	// stored is what it takes in the API server. Its chunks are left out if it is too large to be stored.
	stored stored
	// reports are what was read from the sources; nil for an earlier revision.
	reports []compile.SourceReport
	// next is when compiling again gives something else though nothing has changed; zero for never.
	next time.Time
	// fresh is the compiled form; nil if only the outcome was remembered. Then recompile makes it again, and unstored.
	fresh *revision.Revision
	// took is how long making fresh took.
	took      time.Duration
	recompile func(*v1alpha1.BPFMap, seenReader) (*revision.Revision, *unstored, error)
	// unstored are the sightings that have to be stored before the revision; nil for none.
	unstored *unstored
	// earlier is the revision to go back to, with its entries; nil for what the spec compiles to.
	earlier *v1alpha1.BPFMapRevision
}

func newCompileCache(build recorders.CompileFunc, maxStored int64) *compileCache {
	return &compileCache{build: build, sources: compile.NewCache(), maxStored: maxStored, last: lru.New(maxCompiled), texts: semaphore.NewWeighted(maxTexts)}
}

// waitForRoom waits until there is room in memory for the longest of the sources, which are read one after the other,
// and returns what gives it back.
func (c *compileCache) waitForRoom(sources []compile.Source) (giveBack func()) {
	var longest int64
	for i := range sources {
		longest = max(longest, min(sources[i].Bytes, maxTexts))
	}
	if longest == 0 || c.texts.Acquire(context.Background(), longest) != nil { // only a context that ends makes it fail
		return func() {}
	}
	return func() { c.texts.Release(longest) }
}

// Entries that expire within expiryPause go together, and compiling takes no more than about a tenth of the time.
const expiryPause = 5 * time.Second

// nextLook is when entries that expire at next are taken out, if the contents were compiled from start to end.
func nextLook(next, start, end time.Time) time.Time {
	pause := end.Add(expiryPause + 10*end.Sub(start))
	if next.IsZero() || next.After(pause) {
		return next
	}
	return pause
}

// compile is what m's spec and sources compile to, or why they don't. The error is a source that can't
// be read for now.
func (c *compileCache) compile(m *v1alpha1.BPFMap, sources []compile.Source, inUse *compile.InUse, read seenReader, now func() time.Time) (compiled, *status.Rejection, error) {
	name := client.ObjectKeyFromObject(m)
	found, _ := c.last.Get(name)
	e, ok := found.(cacheEntry)
	state := stateOf(sources)
	start, allowed := now(), m.Annotations[v1alpha1.AnnotationAllowChange]
	isDue := !e.compiled.next.IsZero() && !start.Before(e.compiled.next)
	if ok && e.uid == m.UID && e.generation == m.Generation && e.sources == state && e.allowed == allowed && !isDue {
		return e.compiled, e.rejected, nil
	}
	build := func(m *v1alpha1.BPFMap, in compile.Input) (*compile.Result, error) {
		defer c.waitForRoom(sources)()
		result, err := c.build(m, in)
		if result == nil {
			result = &compile.Result{}
		}
		return result, err
	}
	in := compile.Input{Sources: sources, Cache: c.sources, Now: start, InUse: inUse}
	before, err := read.of(&m.Spec)
	if err != nil {
		return compiled{}, nil, err
	}
	in.Sightings = before.table
	result, err := build(m, in)
	e = cacheEntry{uid: m.UID, generation: m.Generation, sources: state, allowed: allowed, seen: before.number}
	fresh := result.Revision
	digest := ""
	if fresh != nil {
		digest = fresh.Digest
	}
	in.InUse, in.Sightings = nil, nil // what was allowed stays so, and sightings would take too much memory
	again := func(m *v1alpha1.BPFMap, read seenReader) (*revision.Revision, *unstored, error) {
		before, err := read.of(&m.Spec)
		if err != nil {
			return nil, nil, err
		}
		in := in
		in.Sightings = before.table
		result, err := build(m, in)
		switch {
		case err != nil:
			return nil, nil, err
		case result.Revision.Digest != digest:
			c.last.Remove(name)
			return nil, nil, staleCache("what the sources hold, or when they held it first, has changed")
		}
		return result.Revision, unstoredOf(before, result.Sightings), nil
	}
	var unread *compile.LoadError
	switch {
	case errors.As(err, &unread):
		return compiled{}, nil, err
	case err != nil:
		e.rejected = rejection(err)
	default:
		object := revision.ToObject(fresh)
		e.compiled = compiled{
			identity: identifyAlone(object.Spec), layout: revision.Layout(&object.Spec), digest: object.Spec.Digest, stored: c.storedOf(fresh), recompile: again,
		}
	}
	e.compiled.reports, e.compiled.next = result.Sources, nextLook(result.NextChange, start, now())
	fresher := e.compiled
	if fresher.fresh, fresher.took = fresh, now().Sub(start); fresh != nil {
		fresher.unstored = unstoredOf(before, result.Sightings)
		e.compiled.unstored = fresher.unstored.outcome()
	}
	c.last.Add(name, e)
	return fresher, e.rejected, nil
}

// stored notes that the sightings of a BPFMap are stored, with this number.
func (c *compileCache) stored(name types.NamespacedName, number uint64) {
	if found, ok := c.last.Get(name); ok {
		e := found.(cacheEntry)
		e.compiled.unstored, e.seen = nil, number
		c.last.Add(name, e)
	}
}

// seen is the number of the sightings that the last compilation went by; 0 for none.
func (c *compileCache) seen(name types.NamespacedName) uint64 {
	found, _ := c.last.Get(name)
	e, _ := found.(cacheEntry)
	return e.seen
}

// storedOf is what a revision takes in the API server.
func (c *compileCache) storedOf(rev *revision.Revision) stored {
	size := int64(rev.Contents.PackedSize())
	if size > c.maxStored {
		return stored{total: size}
	}
	object, parts := revision.ToObjects(rev)
	s := stored{total: size, inline: int64(len(object.Spec.Entries))}
	for i, p := range parts {
		s.chunks = append(s.chunks, storedChunk{object.Spec.Chunks[i], int64(len(p.Packed))})
	}
	return s
}

// stateOf identifies what the sources hold.
func stateOf(sources []compile.Source) sum {
	h := sha256.New()
	for i := range sources {
		fmt.Fprintf(h, "%d %q %q %v\n", sources[i].Index, sources[i].Name, sources[i].Version, sources[i].Err)
	}
	return sum(h.Sum(nil))
}

// identify is equal for revisions that differ in nothing but their number and where their entries are
// stored: the digest stands for the entries.
func identify(spec v1alpha1.BPFMapRevisionSpec) sum {
	return inGroup(identifyAlone(spec), spec.Group)
}

// identifyAlone is identify without the group.
func identifyAlone(spec v1alpha1.BPFMapRevisionSpec) sum {
	spec.Number, spec.Entries, spec.Chunks, spec.Group = 0, nil, nil, nil
	text, err := json.Marshal(spec)
	if err != nil {
		panic(fmt.Sprintf("identify a revision: %v", err)) // plain data always marshals
	}
	return sha256.Sum256(text)
}

// forget drops what is known of a deleted BPFMap.
func (c *compileCache) forget(name types.NamespacedName) {
	c.last.Remove(name)
	c.sources.Forget(revision.Key(name))
}

// objects are the API objects for revision number n of m.
func (c *compiled) objects(m *v1alpha1.BPFMap, n int64, read seenReader) (*v1alpha1.BPFMapRevision, []*revision.Part, error) {
	name := revisionName(m, n)
	if c.earlier != nil {
		object := &v1alpha1.BPFMapRevision{Spec: *c.earlier.Spec.DeepCopy()}
		object.Namespace, object.Name, object.Spec.Number, object.Spec.Group = m.Namespace, name, n, c.group
		parts, err := revision.Restore(object)
		return object, parts, err
	}
	if err := c.freshen(m, read); err != nil {
		return nil, nil, err
	}
	numbered := *c.fresh
	numbered.Name, numbered.Number, numbered.Group = name, n, c.group
	object, parts := revision.ToObjects(&numbered)
	return object, parts, nil
}

// freshen compiles again, if only the outcome was remembered.
func (c *compiled) freshen(m *v1alpha1.BPFMap, read seenReader) (err error) {
	if c.fresh != nil {
		return nil
	}
	if c.fresh, c.unstored, err = c.recompile(m, read); err != nil {
		return fmt.Errorf("compile again: %w", err)
	}
	return nil
}

func revisionName(m *v1alpha1.BPFMap, n int64) string { return fmt.Sprintf("%s-%d", m.Name, n) }

func rejection(err error) *status.Rejection {
	r := &status.Rejection{Reason: v1alpha1.ReasonInvalidSpec, Message: text.Truncate(err.Error(), maxRejection)}
	var typed *compile.Error
	if errors.As(err, &typed) {
		r.Reason = typed.Reason
	}
	return r
}
