// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// checks remembers when each map was last found to be as its revision says. Events that change nothing
// for this node, such as the progress of a rollout, then don't cost a comparison of the whole map.
type checks struct {
	mu   sync.Mutex
	last map[revision.Key]check
}

type check struct {
	revision types.UID
	at       time.Time
}

// untilDue is how long a comparison with this revision may wait; 0 if it is due. A requeue comes a tenth
// early at most, and must find it due.
func (c *checks) untilDue(key revision.Key, uid types.UID, resync time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	last, ok := c.last[key]
	if !ok || last.revision != uid {
		return 0
	}
	return max(0, resync*8/10-time.Since(last.at))
}

// done notes a comparison that went well.
func (c *checks) done(key revision.Key, uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil {
		c.last = map[revision.Key]check{}
	}
	c.last[key] = check{uid, time.Now()}
}

// forget makes the next comparison due.
func (c *checks) forget(key revision.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.last, key)
}

// forgetAll makes all comparisons due, after the host changed.
func (c *checks) forgetAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.last)
}
