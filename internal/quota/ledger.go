// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/bpfmap-io/bpfmap-operator/internal/footprint"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Use is kernel memory that is taken.
type Use struct {
	// Key is the map's. Maps that nobody manages any more have only a namespace.
	Key   revision.Key
	Bytes int64
}

// Room is a memory cgroup that this process, and so every map that it makes, is charged to.
type Room struct {
	// Limit and Used are in bytes. Used is without what the kernel can take back at once.
	Limit, Used int64
}

// headroom is what is kept of a cgroup for the process itself: an eighth, at least 16Mi.
func (r Room) headroom() int64 { return max(r.Limit/8, 16<<20) }

// Sources are where a Ledger learns what is taken.
type Sources struct {
	// Usage measures all maps below the operator's root.
	Usage func(ctx context.Context) ([]Use, error)
	// Rooms are the cgroups that have a limit; nil for none.
	Rooms func() ([]Room, error)
}

// Ledger knows what is taken and what is promised. It is safe for concurrent use.
//
// A promise counts in full until it is settled. What is taken is measured at first, after any doubt, and
// again before a refusal, so that nothing is refused by old numbers.
type Ledger struct {
	limits  Limits
	sources Sources

	mu       sync.Mutex
	measured bool
	taken    map[revision.Key]int64
	promised map[revision.Key]int64
	// refused wait for room; freed says that there may be some.
	refused map[revision.Key]bool
	freed   bool
}

// New is a ledger. The limits and sources stay as they are.
func New(l Limits, s Sources) *Ledger {
	return &Ledger{
		limits: l, sources: s,
		taken: map[revision.Key]int64{}, promised: map[revision.Key]int64{}, refused: map[revision.Key]bool{},
	}
}

// Request is what the work on a map may take beyond what the map has.
type Request struct {
	Key revision.Key
	// Bytes is the kernel memory that is added, at its peak.
	Bytes int64
	// IsNew says that the namespace gets one map more.
	IsNew bool
}

// Refusal is the error of a request that is over a limit. Trying again helps when there is room.
type Refusal struct{ message string }

// Error says how much is needed, how much is taken, and what the limit is.
func (r *Refusal) Error() string { return r.message }

// Reserve promises a request's memory until Settle or Doubt, or returns a Refusal. Other errors are those
// of the sources. A map that asks for nothing is never refused.
func (l *Ledger) Reserve(ctx context.Context, r Request) error {
	if r.Bytes <= 0 && !r.IsNew {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	fresh := !l.measured
	if err := l.measure(ctx, false); err != nil {
		return err
	}
	refusal, err := l.check(r)
	if refusal != nil && !fresh {
		if err := l.measure(ctx, true); err != nil {
			return err
		}
		refusal, err = l.check(r)
	}
	switch {
	case err != nil:
		return err
	case refusal != nil:
		l.refused[r.Key] = true
		return refusal
	}
	delete(l.refused, r.Key)
	l.promised[r.Key] = r.Bytes
	return nil
}

// Settle ends a promise: the map takes so much now.
func (l *Ledger) Settle(key revision.Key, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.freed = l.freed || bytes < l.taken[key]+l.promised[key]
	delete(l.promised, key)
	l.taken[key] = bytes
}

// Doubt ends a promise of which nobody knows what came. All is measured anew when it matters.
func (l *Ledger) Doubt(key revision.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.promised, key)
	l.measured, l.freed = false, true
}

// Gone ends a map. What is left of it, such as a map that was retained, is measured when it matters.
func (l *Ledger) Gone(key revision.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, had := l.taken[key]
	_, waited := l.refused[key]
	delete(l.promised, key)
	delete(l.refused, key)
	if had || waited {
		l.measured, l.freed = false, true
	}
}

// Unblocked are maps that were refused and may be tried again, because something was freed since. Each is
// told once, sorted by namespace and name.
func (l *Ledger) Unblocked() []revision.Key {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.freed || len(l.refused) == 0 {
		l.freed = false
		return nil
	}
	l.freed = false
	keys := slices.SortedFunc(maps.Keys(l.refused), func(a, b revision.Key) int { return strings.Compare(a.String(), b.String()) })
	clear(l.refused)
	return keys
}

// measure asks what is taken, if that isn't known or if again.
func (l *Ledger) measure(ctx context.Context, again bool) error {
	if l.measured && !again {
		return nil
	}
	uses, err := l.sources.Usage(ctx)
	if err != nil {
		return fmt.Errorf("measure the kernel memory of maps: %w", err)
	}
	clear(l.taken)
	for _, u := range uses {
		l.taken[u.Key] += u.Bytes
	}
	l.measured = true
	return nil
}

// check holds a request against all limits.
func (l *Ledger) check(r Request) (*Refusal, error) {
	// What this map was promised before is replaced by the request.
	others := func(of func(revision.Key) bool) (used int64) {
		for key, n := range l.taken {
			if of(key) {
				used += n
			}
		}
		for key, n := range l.promised {
			if of(key) && key != r.Key {
				used += n
			}
		}
		return used
	}
	namespace := r.Key.Namespace
	inNamespace := func(k revision.Key) bool { return k.Namespace == namespace }
	if limit := of(l.limits.Maps, namespace); limit > 0 && r.IsNew {
		if n := l.count(r.Key); n >= limit {
			return &Refusal{fmt.Sprintf("namespace %s has %d maps on this node, and its limit is %d (--namespace-map-limit)", namespace, n, limit)}, nil
		}
	}
	if limit := of(l.limits.Memory, namespace); limit > 0 {
		if used := others(inNamespace); r.Bytes > limit-used {
			return refuse(r, "the maps of namespace %s take %s of their %s on this node (--namespace-memory-limit)",
				namespace, footprint.Format(used), footprint.Format(limit)), nil
		}
	}
	if limit := l.limits.Node; limit > 0 {
		if used := others(func(revision.Key) bool { return true }); r.Bytes > limit-used {
			return refuse(r, "the maps of this node take %s of their %s (--memory-limit)", footprint.Format(used), footprint.Format(limit)), nil
		}
	}
	return l.checkRooms(r)
}

// count is how many maps a namespace has or was promised, besides the one of key.
func (l *Ledger) count(key revision.Key) (n int64) {
	for k := range l.taken {
		if k.Namespace == key.Namespace && k != key && k.Name != "" {
			n++
		}
	}
	for k := range l.promised {
		if _, both := l.taken[k]; !both && k.Namespace == key.Namespace && k != key {
			n++
		}
	}
	return n
}

// checkRooms holds a request against the cgroups of this process, where it shall never be killed for a
// map.
func (l *Ledger) checkRooms(r Request) (*Refusal, error) {
	if l.sources.Rooms == nil || r.Bytes <= 0 {
		return nil, nil
	}
	rooms, err := l.sources.Rooms()
	if err != nil {
		return nil, fmt.Errorf("read the limit of our own memory cgroup: %w", err)
	}
	var promised int64
	for key, n := range l.promised {
		if key != r.Key {
			promised += n
		}
	}
	for _, room := range rooms {
		if r.Bytes > room.Limit-room.headroom()-room.Used-promised {
			return refuse(r, "the agent, which is charged with it, uses %s of its memory limit of %s and keeps %s for itself",
				footprint.Format(room.Used+promised), footprint.Format(room.Limit), footprint.Format(room.headroom())), nil
		}
	}
	return nil, nil
}

func refuse(r Request, format string, args ...any) *Refusal {
	return &Refusal{fmt.Sprintf("about %s of kernel memory are needed, and ", footprint.Format(r.Bytes)) + fmt.Sprintf(format, args...)}
}
