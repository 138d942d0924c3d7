// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// Cache keeps the packed entries of the sources of one BPFMap, as long as they are used: a change of
// one source of many costs no more than that one. It isn't safe for concurrent use. A nil Cache keeps
// nothing.
type Cache struct {
	runs, used map[cacheKey]run
}

type cacheKey [sha256.Size]byte

// NewCache is an empty cache.
func NewCache() *Cache { return &Cache{runs: map[cacheKey]run{}, used: map[cacheKey]run{}} }

// key identifies what a source compiles to. It is nil for sources without a version, which aren't kept.
func (c *Cache) key(s *Source, from *v1alpha1.EntrySource, spec *v1alpha1.BPFMapSpec) *cacheKey {
	if c == nil || s.Version == "" {
		return nil
	}
	text, err := json.Marshal([]any{
		s.Name, s.Version, from.Format, from.Value, spec.Type, spec.Key, spec.Value, spec.MaxEntries, spec.AllowEmptySources, spec.ConflictPolicy,
	})
	if err != nil {
		panic(fmt.Sprintf("identify a source: %v", err)) // plain data always marshals
	}
	k := cacheKey(sha256.Sum256(text))
	return &k
}

func (c *Cache) get(k *cacheKey) (run, bool) {
	if k == nil {
		return run{}, false
	}
	r, ok := c.runs[*k]
	if ok {
		c.used[*k] = r
	}
	return r, ok
}

func (c *Cache) put(k *cacheKey, r run) {
	if k != nil {
		c.runs[*k], c.used[*k] = r, r
	}
}

// sweep forgets what the compilation that just succeeded didn't use.
func (c *Cache) sweep() {
	if c == nil {
		return
	}
	c.runs, c.used = c.used, map[cacheKey]run{}
}
