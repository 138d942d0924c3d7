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
// for this node, such as the progress of a rollout, then don't cost a comparison of the whole map. It is
// safe for concurrent use; its zero value remembers nothing.
type checks struct {
	mu   sync.Mutex
	last map[revision.Key]*check
}

// check is one comparison of a map with a revision.
type check struct {
	revision types.UID
	passed   time.Time // zero while the comparison is running
}

// untilDue is how long a comparison with this revision may wait; 0 if it is due. A requeue comes a tenth
// early at most, and must find it due.
func (c *checks) untilDue(key revision.Key, uid types.UID, resync time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.last[key]
	if last == nil || last.revision != uid || last.passed.IsZero() {
		return 0
	}
	return max(0, resync*8/10-time.Since(last.passed))
}

// begin notes that a comparison begins.
func (c *checks) begin(key revision.Key, uid types.UID) *check {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil {
		c.last = map[revision.Key]*check{}
	}
	running := &check{revision: uid}
	c.last[key] = running
	return running
}

// passed notes that a comparison found the map as declared. It doesn't count if the map was forgotten
// meanwhile: whatever changed may have changed behind it.
func (c *checks) passed(key revision.Key, running *check) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last[key] == running {
		running.passed = time.Now()
	}
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
