// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"context"
	"fmt"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// One system call carries at most maxBatch elements and at most maxBatchBytes of keys and values, but at
// least one element. A call can't be interrupted, not even by SIGKILL, and blocks a freeze: this is
// about 3 ms of work.
const (
	maxBatch      = 4096
	maxBatchBytes = 1 << 20
)

// An iteration begins with firstBufferBytes and grows to a batch if there is more to read. Elements of
// one hash bucket are read together: for a bucket that is larger than a batch, the buffer grows to
// maxBufferBytes or bucketElements, whichever is more.
const (
	firstBufferBytes = 8 << 10
	maxBufferBytes   = 16 << 20
	bucketElements   = 16
)

// checkEvery is after how many single elements a context is looked at: some hundred microseconds.
const checkEvery = 256

// batchLimit is how many elements of size bytes one call carries.
func batchLimit(size int) int { return atLeastOne(min(maxBatch, maxBatchBytes/atLeastOne(size))) }

func atLeastOne(n int) int { return max(1, n) }

// stopped is the error of an operation whose context has ended after done elements; nil while it hasn't.
func (m *Map) stopped(ctx context.Context, op string, done int) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	return &Error{Op: op, Map: m.describe(), Hint: fmt.Sprintf("stopped after %d elements", done), Err: err}
}

// backoff bounds retries: each pause is twice as long as the one before.
type backoff struct {
	tries int // those that are left, the first one included
	pause time.Duration
}

// again waits and says whether another try is allowed.
func (b *backoff) again() bool {
	if b.tries--; b.tries <= 0 {
		return false
	}
	time.Sleep(b.pause) //nolint:forbidigo // bounded; the kernel offers nothing to wait on
	b.pause *= 2
	return true
}

// lockBackoff is for what the kernel answers when it doesn't get a lock of a map: 5 tries within 6 ms. One
// that times out in the kernel takes a quarter of a second itself (Linux 6.15).
func lockBackoff() backoff { return backoff{tries: 5, pause: 400 * time.Microsecond} }

// contended says whether the same call may go well later, as when the kernel didn't get a lock of the map:
// EBUSY since Linux 5.11, EDEADLK and ETIMEDOUT since 6.15. For some types EBUSY is an answer: a socket
// may be in one array alone, and struct_ops are in use.
func (m *Map) contended(err error) bool {
	return sys.IsTransient(err) && m.typ != ReusePortSockArray && m.typ != StructOps
}
