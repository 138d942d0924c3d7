// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// MaxCacheBytes bounds the packed entries that a Cache keeps of all maps.
const MaxCacheBytes = 64 << 20

// Cache keeps the packed entries of sources, as long as they are used: a change of one source of many
// costs no more than that one. It keeps what a map's last compilation used, and what the last one that
// succeeded did, up to MaxCacheBytes; the runs that were used least recently go first. It is safe for
// concurrent use. A nil Cache keeps nothing.
type Cache struct {
	mu    sync.Mutex
	clock int64
	bytes int64
	maps  map[revision.Key]map[cacheKey]*cached
}

type cacheKey [sha256.Size]byte

// cached is a run that is kept.
type cached struct {
	run  *run
	used int64 // when
	good bool  // by the last compilation that succeeded
}

// NewCache is an empty cache, for any number of maps.
func NewCache() *Cache { return &Cache{maps: map[revision.Key]map[cacheKey]*cached{}} }

// Forget drops what is kept of a map.
func (c *Cache) Forget(of revision.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.maps[of] {
		c.drop(of, k)
	}
}

// session is one compilation's view of the cache.
type session struct {
	cache *Cache
	of    revision.Key
	begin int64
}

func (c *Cache) session(of revision.Key) *session {
	if c == nil {
		return &session{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock++
	return &session{cache: c, of: of, begin: c.clock}
}

// key identifies what a source compiles to: everything of the spec but other entries counts, whether it
// changes the entries or not. It is nil for sources without a version, which aren't kept, and for those with a
// lifetime: their entries follow from what is remembered of them, too.
func (s *session) key(from *Source, spec *v1alpha1.BPFMapSpec) *cacheKey {
	if s.cache == nil || from.Version == "" || spec.EntriesFrom[from.Index].ExpireAfter.Duration != 0 {
		return nil
	}
	rest := *spec
	rest.Entries, rest.EntriesFrom = nil, nil
	text, err := json.Marshal([]any{from.Name, from.Version, spec.EntriesFrom[from.Index], rest})
	if err != nil {
		panic(fmt.Sprintf("identify a source: %v", err)) // plain data always marshals
	}
	k := cacheKey(sha256.Sum256(text))
	return &k
}

func (s *session) get(k *cacheKey) *run {
	if k == nil {
		return nil
	}
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	kept, ok := s.cache.maps[s.of][*k]
	if !ok {
		return nil
	}
	s.cache.clock++
	kept.used = s.cache.clock
	return kept.run
}

// fits says whether a run of that many packed bytes can be kept.
func (s *session) fits(k *cacheKey, bytes int64) bool { return k != nil && bytes <= MaxCacheBytes/2 }

func (s *session) put(k *cacheKey, r *run) {
	c := s.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.bytes+r.size() > MaxCacheBytes && c.dropOldest() {
	}
	if c.maps[s.of] == nil {
		c.maps[s.of] = map[cacheKey]*cached{}
	}
	c.drop(s.of, *k)
	c.clock++
	c.maps[s.of][*k] = &cached{run: r, used: c.clock}
	c.bytes += r.size()
}

// end forgets what neither this compilation nor the last one that succeeded used.
func (s *session) end(succeeded bool) {
	c := s.cache
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, kept := range c.maps[s.of] {
		isUsed := kept.used > s.begin
		if succeeded {
			kept.good = isUsed
		}
		if !isUsed && !kept.good {
			c.drop(s.of, k)
		}
	}
}

// drop forgets one run, if it is there.
func (c *Cache) drop(of revision.Key, k cacheKey) {
	kept, ok := c.maps[of][k]
	if !ok {
		return
	}
	c.bytes -= kept.run.size()
	delete(c.maps[of], k)
	if len(c.maps[of]) == 0 {
		delete(c.maps, of)
	}
}

// dropOldest forgets the run that wasn't used for longest. It is false if there is none.
func (c *Cache) dropOldest() bool {
	var of revision.Key
	var oldest cacheKey
	var used int64
	for m, runs := range c.maps {
		for k, kept := range runs {
			if used == 0 || kept.used < used {
				of, oldest, used = m, k, kept.used
			}
		}
	}
	if used == 0 {
		return false
	}
	c.drop(of, oldest)
	return true
}
