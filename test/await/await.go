// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package await lets a test wait for something to become true, with a bound.
//
// Out of scope: checking that something stays true, which only a later event can prove.
package await

import (
	"testing"
	"time"
)

// interval is the time between two tries.
const interval = 10 * time.Millisecond

// Nil calls check until it returns nil, and fails the test with its last error after limit. A limit
// bounds a broken test; it is no measurement, so be generous.
func Nil(t testing.TB, limit time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %v", limit, err)
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("the test ended: %v", err)
		case <-time.After(interval):
		}
	}
}
