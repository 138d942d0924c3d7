// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// holding is what the node holds of a map, or held last.
type holding struct {
	// uid is the BPFMap's; empty if nothing is known of the map.
	uid      string
	revision string
	number   int64
	// present says that the node has the map; after a removal the rest tells what was removed.
	present bool
	// unsure says that this process has taken no revision of the map. What it is shown may be older
	// than what an earlier agent followed, if it was there before this process began. From then on its cache
	// only gets newer.
	unsure bool
	// again says that maps were here in this boot, of this process or of an earlier one.
	again bool
	// doubted is since when the API server has nothing for the node though it did; zero if it has.
	doubted time.Time
}

// holdings remember what the node holds. The ownership records are the durable memory: they are read once for
// each engine. It is safe for concurrent use.
type holdings struct {
	mu    sync.Mutex
	from  Engine
	known map[revision.Key]holding
	// decided are the maps of which this process took a revision, and which it has.
	decided map[revision.Key]bool
	// again says that this boot has seen a map come or go: records outlive an agent, but no boot. An agent may
	// have ended before it published anything, so that the node's state doesn't tell of it.
	again bool
}

// of is what the node holds of a map.
func (h *holdings) of(ctx context.Context, e Engine, key revision.Key) (holding, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.from != e {
		if err := h.read(ctx, e); err != nil {
			return holding{}, err
		}
	}
	found := h.known[key]
	found.unsure, found.again = !h.decided[key], h.again
	return found, nil
}

// read takes over what the records tell of maps that nothing is known of. The lock is held.
func (h *holdings) read(ctx context.Context, e Engine) error {
	records, err := e.Records(ctx)
	if err != nil {
		return fmt.Errorf("find out what this node holds: %w", err)
	}
	if h.known == nil {
		h.known = map[revision.Key]holding{}
	}
	for i := range records {
		r := &records[i]
		if r.UID == "" || h.known[r.Key].uid != "" {
			continue // of people at this machine, or known better
		}
		h.again = true
		h.known[r.Key] = holding{uid: r.UID, revision: r.Revision, number: numberOf(r.Revision), present: true}
	}
	h.from = e
	return nil
}

// takes notes that a revision is about to be applied. Whether that succeeds doesn't matter: the record may
// name it from now on.
func (h *holdings) takes(key revision.Key, rev *v1alpha1.BPFMapRevision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known[key] = holding{uid: rev.Spec.MapUID, revision: rev.Name, number: rev.Number(), present: true}
	if h.decided == nil {
		h.decided = map[revision.Key]bool{}
	}
	h.decided[key] = true
}

// gone notes that the node doesn't have a map any more. What it was stays known while the cache may still
// show it. That decides nothing about what the cache shows next: it may show nothing yet, and then what an earlier
// agent removed.
func (h *holdings) gone(key revision.Key, shown bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.decided, key)
	last := h.known[key]
	h.again = h.again || last.present
	if !shown || last.uid == "" {
		delete(h.known, key)
		return
	}
	last.present, last.doubted = false, time.Time{}
	h.known[key] = last
}

// doubt notes since when the API server has nothing for the node, and returns it.
func (h *holdings) doubt(key revision.Key) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := h.known[key]
	if last.doubted.IsZero() {
		last.doubted = time.Now()
		h.known[key] = last
	}
	return last.doubted
}

// trust ends a doubt.
func (h *holdings) trust(key revision.Key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if last, ok := h.known[key]; ok && !last.doubted.IsZero() {
		last.doubted = time.Time{}
		h.known[key] = last
	}
}

// numberOf is the number at the end of a revision's name.
func numberOf(name string) int64 {
	var r v1alpha1.BPFMapRevision
	r.Name = name
	return r.Number()
}
