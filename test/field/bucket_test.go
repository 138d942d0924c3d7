// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package field_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/test/clang"
	"github.com/bpfmap-io/bpfmap-operator/test/wire"
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

// attach loads a program with the maps that are pinned in bpfmap/edge, and puts it at the machine's interface.
func (m *machine) attach(source string, maps ...string) (object string) {
	m.Helper()
	object = clang.BPF(m, source)
	args := []string{"prog", "load", object, "/sys/fs/bpf/program", "type", "xdp"}
	for _, name := range maps {
		args = append(args, "map", "name", name, "pinned", filepath.Join("/sys/fs/bpf/bpfmap/edge", name))
	}
	m.run("bpftool", args...)
	m.run("bpftool", "net", "attach", "xdpdrv", "pinned", "/sys/fs/bpf/program", "dev", wire.Interface)
	return object
}

// TestBucketStaysEmpty: a bucket that is applied again and again while packets come isn't filled by it, so that as many
// come through as it held.
func TestBucketStaysEmpty(t *testing.T) {
	const burst = 50
	m := onWire(t, limited)
	declared := buckets(burst, time.Hour)
	m.apply(declared, "created")
	m.bpfmap("validate", declared, "--object", m.attach("testdata/bucket.bpf.c", "buckets"))

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
	const burst = 20
	m := onWire(t, limited)
	slow, fast := buckets(burst, 10*time.Millisecond), buckets(2*burst, 5*time.Millisecond)
	m.apply(slow, "created")
	m.attach("testdata/bucket.bpf.c", "buckets")
	if got := m.Send(t, limited, 1); got != 1 {
		t.Fatalf("%d packets came through a full bucket", got)
	}
	began := m.bucket(slow).Last

	stop := m.Pour(t, limited)
	for range 5 {
		m.apply(fast, "configured")
		m.apply(fast, "unchanged")
		m.apply(slow, "configured")
	}
	c := stop()
	b := m.bucket(slow)
	if b.Passed != uint64(c.Received+1) || b.Passed+b.Dropped != uint64(c.Sent+1) {
		t.Errorf("the bucket is %+v after one and %v packets", b, c)
	}
	// The bucket was never full again, so each token that came is one that passed or is there; one took between 5
	// and 10 ms.
	elapsed := time.Duration(b.Last - began)
	came := b.Passed + b.Tokens - burst
	if least, most := uint64(elapsed/(10*time.Millisecond)), uint64(elapsed/(5*time.Millisecond)); came < least || came > most {
		t.Errorf("%d tokens came back within %v, want %d to %d", came, elapsed, least, most)
	}
	t.Logf("%v packets came through, %d tokens came back within %v", c, came, elapsed)
}
