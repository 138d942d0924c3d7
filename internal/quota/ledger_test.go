// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package quota_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/quota"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// node is a kernel that a ledger measures.
type node struct {
	mu    sync.Mutex
	takes map[revision.Key]int64
	// broken can't be measured.
	broken map[revision.Key]bool
	// all and each count measurements of all maps and of one.
	all, each int
	slow      time.Duration
}

func newNode() *node {
	return &node{takes: map[revision.Key]int64{}, broken: map[revision.Key]bool{}}
}

func (n *node) set(key revision.Key, bytes int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.takes[key] = bytes; bytes == 0 {
		delete(n.takes, key)
	}
}

func (n *node) usage(context.Context) ([]quota.Use, error) {
	time.Sleep(n.slow)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all++
	var uses []quota.Use
	for key, bytes := range n.takes {
		if !n.broken[key] {
			uses = append(uses, quota.Use{Key: key, Bytes: bytes})
		}
	}
	return uses, nil
}

func (n *node) usageOf(_ context.Context, key revision.Key) (int64, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.each++
	if n.broken[key] {
		return 0, false, errors.New("unreadable")
	}
	bytes, exists := n.takes[key]
	return bytes, exists, nil
}

func (n *node) ledger(l quota.Limits) *quota.Ledger {
	return quota.New(l, quota.Sources{Usage: n.usage, UsageOf: n.usageOf})
}

// total is what all maps take.
func (n *node) total() (sum int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, bytes := range n.takes {
		sum += bytes
	}
	return sum
}

func reserve(t *testing.T, l *quota.Ledger, name string, bytes int64) bool {
	t.Helper()
	err := l.Reserve(t.Context(), quota.Request{Key: key(name), Bytes: bytes, IsNew: true})
	if refusal := (*quota.Refusal)(nil); err != nil && !errors.As(err, &refusal) {
		t.Fatal(err)
	}
	return err == nil
}

// TestHeadroom: of a cgroup's limit an eighth is kept for the process, at least 16 MiB, and promises count.
func TestHeadroom(t *testing.T) {
	const mi = 1 << 20
	for _, c := range []struct{ limit, used, promised, fits int64 }{
		{limit: 256 * mi, fits: 224 * mi},
		{limit: 256 * mi, used: 100 * mi, fits: 124 * mi},
		{limit: 256 * mi, used: 100 * mi, promised: 20 * mi, fits: 104 * mi},
		{limit: 64 * mi, fits: 48 * mi},
		{limit: 1024 * mi, fits: 896 * mi},
	} {
		l := quota.New(quota.Limits{}, quota.Sources{
			Usage:   newNode().usage,
			Cgroups: func() ([]quota.CgroupLimit, error) { return []quota.CgroupLimit{{Limit: c.limit, Used: c.used}}, nil },
		})
		if c.promised > 0 && !reserve(t, l, "promised", c.promised) {
			t.Errorf("%+v: the promise is refused", c)
		}
		if reserve(t, l, "table", c.fits+1) {
			t.Errorf("%+v: a byte more fits", c)
		}
		if !reserve(t, l, "table", c.fits) {
			t.Errorf("%+v: refused", c)
		}
	}
}

// TestFailuresAreMeasuredOneByOne: the map whose work failed costs one measurement of itself, however many
// maps there are.
func TestFailuresAreMeasuredOneByOne(t *testing.T) {
	const maps, size = 500, 10
	n := newNode()
	for i := range maps {
		n.set(key(fmt.Sprint(i)), size)
	}
	l := n.ledger(quota.Limits{Node: (maps + 1) * size})
	for i := range maps {
		name := fmt.Sprint(i)
		if err := l.Reserve(t.Context(), quota.Request{Key: key(name), Bytes: size}); err != nil {
			t.Fatal(err)
		}
		n.set(key(name), size/2) // some of it was taken away, and then the work failed
		l.Invalidate(key(name))
	}
	if n.all != 1 || n.each > maps {
		t.Errorf("%d measurements of all maps and %d of one for %d failures", n.all, n.each, maps)
	}
	if !reserve(t, l, "new", (maps/2+1)*size) || reserve(t, l, "another", 1) {
		t.Error("the figures of the maps that failed are wrong")
	}
}

// TestUnreadableMaps don't keep others from being made, and count as promised.
func TestUnreadableMaps(t *testing.T) {
	n := newNode()
	l := n.ledger(quota.Limits{Node: 100})
	if !reserve(t, l, "broken", 60) {
		t.Fatal("refused")
	}
	n.set(key("broken"), 60)
	n.broken[key("broken")] = true
	l.Invalidate(key("broken"))
	if reserve(t, l, "large", 50) || !reserve(t, l, "small", 30) {
		t.Error("a map that can't be measured doesn't count, or others wait for it")
	}
	tried := n.each
	if reserve(t, l, "medium", 20) || n.each != tried {
		t.Errorf("it is measured again for every request: %d times", n.each-tried)
	}
	l.Invalidate(key("broken"))
	if err := l.Reserve(t.Context(), quota.Request{Key: key("broken"), Bytes: 1}); err == nil || !strings.Contains(err.Error(), "unreadable") {
		t.Errorf("its own request: %v", err)
	}
	n.broken[key("broken")] = false
	n.set(key("broken"), 10)
	if !reserve(t, l, "medium", 60) {
		t.Error("what it was promised counts though it can be measured again")
	}
}

// TestRefusalsMeasureSeldom: many refusals don't measure all maps each, and none is by figures that a
// removal made old.
func TestRefusalsMeasureSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode()
		n.slow = time.Second
		for i := range 100 {
			n.set(key(fmt.Sprint(i)), 1)
		}
		l := n.ledger(quota.Limits{Node: 100})
		for i := range 50 {
			if reserve(t, l, fmt.Sprint("new-", i), 1) {
				t.Error("over the limit")
			}
		}
		if n.all > 2 {
			t.Errorf("%d measurements for 50 refusals in a moment", n.all)
		}
		n.set(key("0"), 0) // by others
		time.Sleep(10 * time.Second)
		if !reserve(t, l, "after others", 1) {
			t.Error("refused by old figures")
		}
		before := n.all
		n.set(key("1"), 0)
		l.Release(key("1"))
		if !reserve(t, l, "after us", 1) || n.all != before+1 {
			t.Errorf("refused by old figures, or %d measurements", n.all-before)
		}
	})
}

// TestPromisesThatCountTwice: a refusal while another map is being worked on may be one too many; the map is
// called again when that work ends, even if it took all that it was promised.
func TestPromisesThatCountTwice(t *testing.T) {
	const mi = 1 << 20
	used := int64(0)
	l := quota.New(quota.Limits{}, quota.Sources{
		Usage:   newNode().usage,
		Cgroups: func() ([]quota.CgroupLimit, error) { return []quota.CgroupLimit{{Limit: 256 * mi, Used: used}}, nil },
	})
	if !reserve(t, l, "a", 160*mi) {
		t.Fatal("refused")
	}
	used = 160 * mi // it is there, and not settled yet
	if reserve(t, l, "b", 64*mi) {
		t.Fatal("what is promised doesn't count in full")
	}
	l.Settle(key("a"), 160*mi)
	if again := l.Unblocked(); len(again) != 1 || again[0] != key("b") || !reserve(t, l, "b", 64*mi) {
		t.Errorf("%v are called again", again)
	}
	if again := l.Unblocked(); len(again) > 0 {
		t.Errorf("%v are called again for nothing", again)
	}
}

// TestConcurrentMaps: workers make, fail, shrink and remove maps at the same time; what they take never
// passes the limit, and at the end the ledger knows what is there. Run it with -race.
func TestConcurrentMaps(t *testing.T) {
	const workers, steps, limit = 8, 400, 100
	n := newNode()
	l := n.ledger(quota.Limits{Node: limit, Maps: map[string]int64{"*": 6}})
	var work sync.WaitGroup
	for w := range workers {
		work.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 2))
			own := key(fmt.Sprint(w)) // one map is worked on by one worker at a time
			takes := int64(0)
			for range steps {
				more := int64(r.IntN(40))
				err := l.Reserve(t.Context(), quota.Request{Key: own, Bytes: more, IsNew: takes == 0})
				if refusal := (*quota.Refusal)(nil); errors.As(err, &refusal) {
					l.Unblocked()
					continue
				} else if err != nil {
					t.Error(err)
				}
				takes += more
				n.set(own, takes)
				if sum := n.total(); sum > limit {
					t.Errorf("%d bytes are taken, the limit is %d", sum, limit)
				}
				switch r.IntN(3) {
				case 0:
					takes = int64(r.IntN(int(takes + 1)))
					n.set(own, takes)
					l.Invalidate(own)
				case 1:
					l.Settle(own, takes)
				default:
					takes = 0
					n.set(own, 0)
					l.Release(own)
				}
			}
			n.set(own, 0)
			l.Release(own)
		})
	}
	work.Wait()
	if !reserve(t, l, "all", limit) {
		t.Error("something is counted that isn't there")
	}
}
