// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"slices"
	"strconv"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
)

// The defaults of Options. Sizes are of packed entries: etcd keeps them in base64, which is a third more.
const (
	DefaultRevisionHistoryLimit       = 5
	DefaultMaxStoredBytesPerMap       = 64 << 20
	DefaultMaxStoredBytesPerNamespace = 512 << 20
)

// limits bound what is kept in the API server.
type limits struct {
	// history is how many revisions of a BPFMap are kept besides those in use.
	history int
	// perMap and perNamespace are in bytes of packed entries.
	perMap, perNamespace int64
}

// stored is what the packed entries of a revision take in the API server, in bytes.
type stored struct {
	// total is everything.
	total int64
	// inline is what is in the revision itself.
	inline int64
	chunks []storedChunk
}

type storedChunk struct {
	name string
	size int64
}

// tally sums what is stored, counting each chunk once.
type tally struct {
	total int64
	named map[string]bool
}

// more is how much more there would be with s.
func (t *tally) more(s stored) int64 {
	n := s.inline
	for _, c := range s.chunks {
		if !t.named[c.name] {
			n += c.size
		}
	}
	return n
}

func (t *tally) add(s stored) {
	t.total += t.more(s)
	if t.named == nil {
		t.named = make(map[string]bool, len(s.chunks))
	}
	for _, c := range s.chunks {
		t.named[c.name] = true
	}
}

// chunkSize is the size of a chunk by its metadata. One that doesn't tell counts as the largest possible.
func chunkSize(o *metav1.PartialObjectMetadata) int64 {
	n, err := strconv.ParseInt(o.Annotations[v1alpha1.AnnotationPackedBytes], 10, 64)
	if err != nil || n <= 0 || n > v1alpha1.MaxChunkBytes {
		return v1alpha1.MaxChunkBytes
	}
	return n
}

// inlineSize is the size of the entries in a revision itself, which the cache has replaced by their size.
func inlineSize(rev *v1alpha1.BPFMapRevision) int64 {
	if n := len(rev.Spec.Entries); n > 0 || len(rev.Spec.Chunks) > 0 {
		return int64(n)
	}
	n, err := strconv.ParseInt(rev.Annotations[v1alpha1.AnnotationPackedBytes], 10, 64)
	if err != nil || n <= 0 || n > v1alpha1.LargestInlineEntriesBytes {
		return v1alpha1.LargestInlineEntriesBytes
	}
	return n
}

// storedIn is what a revision takes. Chunks that aren't there take nothing.
func storedIn(rev *v1alpha1.BPFMapRevision, sizes map[string]int64) stored {
	s := stored{inline: inlineSize(rev)}
	s.total = s.inline
	for _, name := range rev.Spec.Chunks {
		s.chunks = append(s.chunks, storedChunk{name, sizes[name]})
		s.total += sizes[name]
	}
	return s
}

// cutHistory divides a BPFMap's revisions into those that stay and those that go. What inUse names stays,
// however large it is; of the others, history, the newest stay: at most as many as limit says, and as long as
// everything together with what is wanted, which is yet to be stored, takes no more than bound bytes.
func cutHistory(own []v1alpha1.BPFMapRevision, inUse func(*v1alpha1.BPFMapRevision) bool, want stored,
	sizes map[string]int64, limit int, bound int64,
) (kept, cut []v1alpha1.BPFMapRevision) {
	var sum tally
	sum.add(want)
	for i := range own {
		if inUse(&own[i]) {
			sum.add(storedIn(&own[i], sizes))
		}
	}
	history, full := 0, false
	for i := range slices.Backward(own) {
		rev := &own[i]
		if inUse(rev) {
			kept = append(kept, *rev)
			continue
		}
		size := storedIn(rev, sizes)
		if full = full || history >= limit || sum.total+sum.more(size) > bound; full {
			cut = append(cut, *rev)
			continue
		}
		history++
		sum.add(size)
		kept = append(kept, *rev)
	}
	slices.Reverse(kept)
	slices.Reverse(cut)
	return kept, cut
}

// tooLarge refuses contents that can't be stored even if nothing else is.
func tooLarge(size, bound int64) *status.Rejection {
	return &status.Rejection{Reason: v1alpha1.ReasonTooLarge, Message: fmt.Sprintf(
		"spec: the entries take %d bytes, more than the %d that may be stored for one BPFMap: "+
			"declare fewer or smaller entries, split them into several BPFMaps, or raise the controller's --max-stored-bytes-per-map", size, bound)}
}

// overQuota refuses contents that a namespace has no room for.
func overQuota(namespace string, have, need, bound int64) *status.Rejection {
	return &status.Rejection{Reason: v1alpha1.ReasonQuotaExceeded, Message: fmt.Sprintf(
		"spec: the revisions of all BPFMaps in namespace %s take %d bytes, and this one would add %d: together %d, more than the %d "+
			"that may be stored for one namespace: declare fewer entries, lower spec.revisionHistoryLimit, delete BPFMaps, "+
			"or raise the controller's --max-stored-bytes-per-namespace", namespace, have, need, have+need, bound)}
}

// reservations are what is being written and what the cache may not show yet. Without them the BPFMaps of a
// namespace that are reconciled at the same time would each see room for itself. It is safe for concurrent
// use.
type reservations struct {
	mu sync.Mutex
	// made is by namespace and name of the BPFMap.
	made map[string]map[string]reservation
}

type reservation struct {
	revision string
	stored   stored
}

// reserve keeps room for a revision, or says that there is none. present are the revisions and chunks of the
// namespace that the cache shows, with their sizes, freed is what goes before the new revision is written.
func (r *reservations) reserve(name types.NamespacedName, rev string, want stored, present map[string]int64, freed, bound int64) *status.Rejection {
	r.mu.Lock()
	defer r.mu.Unlock()
	have := -freed
	for _, size := range present {
		have += size
	}
	for other, o := range r.made[name.Namespace] {
		if other != name.Name {
			have += o.missing(present)
		}
	}
	mine := reservation{rev, want}
	// Contents that take no more than what goes for them are no reason to refuse anything.
	if need := mine.missing(present); have+need > bound && need > freed {
		delete(r.made[name.Namespace], name.Name)
		return overQuota(name.Namespace, have, need, bound)
	}
	if r.made == nil {
		r.made = map[string]map[string]reservation{}
	}
	if r.made[name.Namespace] == nil {
		r.made[name.Namespace] = map[string]reservation{}
	}
	r.made[name.Namespace][name.Name] = mine
	return nil
}

// missing is how much of a reservation isn't present yet.
func (r *reservation) missing(present map[string]int64) (n int64) {
	if _, ok := present[revisionKey(r.revision)]; !ok {
		n = r.stored.inline
	}
	for _, c := range r.stored.chunks {
		if _, ok := present[c.name]; !ok {
			n += c.size
		}
	}
	return n
}

// release gives up what is reserved for a BPFMap: the cache shows it, or it isn't wanted any more.
func (r *reservations) release(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if delete(r.made[name.Namespace], name.Name); len(r.made[name.Namespace]) == 0 {
		delete(r.made, name.Namespace)
	}
}

// revisionKey tells the name of a revision from that of a chunk.
func revisionKey(name string) string { return "revision/" + name }
