// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"errors"
	"time"
)

const (
	// DefaultMinInterval is the least time between two fetches of a document.
	DefaultMinInterval = time.Minute
	// maxBackoff bounds the time between attempts that fail, unless the source's own interval is longer than that, and
	// lateBackoff is what it grows to for documents with a shorter interval.
	maxBackoff  = time.Hour
	lateBackoff = 10 * time.Minute
	// maxRetryAfter bounds what a server can ask for.
	maxRetryAfter = 6 * time.Hour
	// minRequested is the time between two attempts that people ask for.
	minRequested = 5 * time.Second
)

// schedule says how long after an attempt the next one is due. spread gives a time of up to a duration, by lot.
type schedule struct {
	least  time.Duration
	spread func(time.Duration) time.Duration
}

// afterSuccess is the interval, or the least one, and up to a tenth of it.
func (s schedule) afterSuccess(interval time.Duration) time.Duration {
	d := max(interval, s.least)
	return d + s.spread(d/10)
}

// afterFailure doubles with each failure in a row from the least interval on. A server that asks for more time gets
// it.
func (s schedule) afterFailure(interval time.Duration, failures int, err error) time.Duration {
	d := s.least
	most := max(s.least, min(max(interval, lateBackoff), maxBackoff))
	for range failures - 1 {
		if d *= 2; d >= most {
			break
		}
	}
	d = min(d, most)
	var status *StatusError
	if errors.As(err, &status) {
		d = max(d, min(status.RetryAfter, maxRetryAfter))
	}
	return d + s.spread(d/10)
}
