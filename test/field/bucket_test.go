// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package field_test

import (
	"fmt"
	"testing"
	"time"
)

// limited is a client with a bucket.
const limited = "10.77.0.21"

// buckets declares the rate limiter's map with one bucket.
func buckets(burst int, interval time.Duration) string {
	return fmt.Sprintf(`apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: buckets}
spec:
  type: Hash
  key: {type: ipv4}
  value:
    fields:
    - {name: lock, type: spinLock}
    - {name: burst, type: u32}
    - {name: interval, type: u64, duration: ns}
    - {name: tokens, type: u64, owner: Program}
    - {name: last, type: u64, owner: Program}
    - {name: passed, type: u64, owner: Program}
    - {name: dropped, type: u64, owner: Program}
  maxEntries: 64
  entries:
  - {key: %s, value: {burst: %d, interval: %s}}
`, limited, burst, interval)
}

// bucket is what the program keeps in one.
type bucket struct{ Tokens, Last, Passed, Dropped uint64 }

func (m *machine) bucket(manifest string) (b bucket) {
	m.Helper()
	f := m.dump(manifest)[limited][0].(map[string]any)
	for name, to := range map[string]*uint64{"tokens": &b.Tokens, "last": &b.Last, "passed": &b.Passed, "dropped": &b.Dropped} {
		*to = uint64(number(m, f[name]))
	}
	return b
}

// TestBucketStaysEmpty: a bucket that is applied again and again while packets come isn't filled by it, so that as many
// come through as it held.
func TestBucketStaysEmpty(t *testing.T) {
	const burst = 50
	m := onWire(t, limited)
	declared := buckets(burst, time.Hour)
	m.apply(declared, "created")
	m.valid(declared, m.attach("testdata/bucket.bpf.c", "buckets"))

	stop := m.Pour(t, limited)
	dropped := uint64(0)
	for range 5 {
		m.apply(declared, "unchanged")
		m.resync(declared)
		if b := m.bucket(declared); b.Dropped < dropped || b.Passed > burst {
			t.Errorf("%d packets were dropped and %d passed, %d were dropped before", b.Dropped, b.Passed, dropped)
		} else {
			dropped = b.Dropped
		}
		// What is declared changes beside it.
		m.apply(buckets(burst+1, 2*time.Hour), "configured")
		m.apply(declared, "configured")
	}
	c := stop()
	if c.Received != burst {
		t.Errorf("%v packets came through a bucket of %d that nothing fills", c, burst)
	}
	if b := m.bucket(declared); b.Tokens != 0 || b.Passed != burst || b.Dropped != uint64(c.Sent-burst) {
		t.Errorf("the bucket is %+v after %v packets", b, c)
	}
	if c.Sent < 2*burst {
		t.Errorf("no more than %d packets were sent", c.Sent)
	}
}

// TestBucketRate: while the rate and the size of the bucket change, what comes through is what it held and what came
// back since, to the packet.
func TestBucketRate(t *testing.T) {
	// A bucket that nobody takes from for 20 s, on a machine that is busy, isn't full by then.
	const burst = 2000
	m := onWire(t, limited)
	slow, fast := buckets(burst, 20*time.Millisecond), buckets(burst+1, 10*time.Millisecond)
	m.apply(slow, "created")
	m.attach("testdata/bucket.bpf.c", "buckets")
	if got := m.Send(t, limited, 1); got != 1 {
		t.Fatalf("%d packets came through a full bucket", got)
	}
	began := m.bucket(slow).Last
	received := m.Send(t, limited, 2*burst)

	stop := m.Pour(t, limited)
	for range 3 {
		m.apply(fast, "configured")
		m.apply(fast, "unchanged")
		m.apply(slow, "configured")
	}
	c := stop()
	b := m.bucket(slow)
	received += c.Received
	if sent := 2*burst + c.Sent; b.Passed != uint64(received+1) || b.Passed+b.Dropped != uint64(sent+1) {
		t.Errorf("the bucket is %+v after 1 and %d of %d packets", b, received, sent)
	}
	// As it was never full again, each token that came passed or is there; one took 10 to 20 ms.
	elapsed := time.Duration(b.Last - began)
	came := b.Passed + b.Tokens - burst
	if least, most := uint64(elapsed/(20*time.Millisecond)), uint64(elapsed/(10*time.Millisecond)); came < least || came > most {
		t.Errorf("%d tokens came back within %v, want %d to %d", came, elapsed, least, most)
	}
	t.Logf("%d of %d packets came through, %d tokens came back within %v", received, 2*burst+c.Sent, came, elapsed)
}
