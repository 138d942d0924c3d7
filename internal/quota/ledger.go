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
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/footprint"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// Use is kernel memory that is taken.
type Use struct {
	// Key is the map's. Maps that nobody manages any more have only a namespace.
	Key   revision.Key
	Bytes int64
	// Left is the id of a map that nobody manages any more and that was made for its namespace: it still counts as one
	// of its maps. 0 for others.
	Left uint32
}

// CgroupLimit is the limit of a memory cgroup that this process, and so every map that it makes, is charged
// to.
type CgroupLimit struct {
	// Limit and Used are in bytes. Used is without what the kernel can take back at once.
	Limit, Used int64
}

// headroom is what is kept of a cgroup for the process itself: an eighth, at least 16Mi.
func (c CgroupLimit) headroom() int64 { return max(c.Limit/8, 16<<20) }

// Sources are where a Ledger learns what is taken.
type Sources struct {
	// Usage measures all maps below the operator's root. It costs as many system calls as there are maps.
	Usage func(ctx context.Context) ([]Use, error)
	// UsageOf measures one managed map; exists is false if there is none. Nil measures all maps instead.
	UsageOf func(ctx context.Context, key revision.Key) (bytes int64, exists bool, err error)
	// Cgroups are the memory cgroups that have a limit; nil for none.
	Cgroups func() ([]CgroupLimit, error)
}

// Ledger knows what is taken and what is promised. It is safe for concurrent use.
//
// A promise counts in full until it is settled; memory of a map that is being worked on may so count twice
// for a moment, never less than once. All maps are measured at first, and again before a refusal, so that
// nothing is refused by old figures; beyond that, only the maps whose work failed are measured, one by one.
// All methods but a measurement take constant time.
type Ledger struct {
	limits  Limits
	sources Sources

	mu sync.Mutex
	accounts
	measured time.Time // when all maps were measured last; zero for never
	took     time.Duration
	// reduced says that something was released since: there may be less than the accounts say.
	reduced bool
	// invalid are maps whose figures nobody knows; true for those that couldn't be measured.
	invalid map[revision.Key]bool
	// refused wait for memory; freed says that there may be some.
	refused map[revision.Key]bool
	freed   bool
	// contended says that a request was refused while others had promises, which may have counted twice.
	contended bool
}

// New is a ledger. The limits and sources stay as they are.
func New(l Limits, s Sources) *Ledger {
	return &Ledger{limits: l, sources: s, accounts: newAccounts(), invalid: map[revision.Key]bool{}, refused: map[revision.Key]bool{}}
}

// Request is what the work on a map may take beyond what the map has.
type Request struct {
	Key revision.Key
	// Bytes is the kernel memory that is added, at its peak.
	Bytes int64
	// IsNew says that the namespace gets one map more.
	IsNew bool
	// Adopts is the id of the map that becomes managed, 0 if one is made. One that was left counts already.
	Adopts uint32
}

// Refusal is the error of a request that is over a limit. Trying again helps when something was freed.
type Refusal struct{ message string }

// Error says how much is needed, how much is taken, and what the limit is.
func (r *Refusal) Error() string { return r.message }

// Reserve promises a request's memory until Settle, Invalidate or Release, or returns a Refusal. Other
// errors are those of the sources. A map that asks for nothing is never refused.
func (l *Ledger) Reserve(ctx context.Context, r Request) error {
	if r.Bytes <= 0 && !r.IsNew {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	fresh, err := l.refresh(ctx, r.Key)
	if err != nil {
		return err
	}
	refusal, err := l.check(r)
	if refusal != nil && !fresh && l.isStale() {
		if err := l.measure(ctx); err != nil {
			return err
		}
		refusal, err = l.check(r)
	}
	switch {
	case err != nil:
		return err
	case refusal != nil:
		l.refused[r.Key] = true
		l.contended = l.contended || l.promisedToOthers(r.Key) > 0
		return refusal
	}
	delete(l.refused, r.Key)
	l.promise(r.Key, r.Bytes)
	return nil
}

// Settle ends a promise: the map takes so much now.
func (l *Ledger) Settle(key revision.Key, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.of(key)
	l.freed = l.freed || l.contended || bytes < before.taken+before.promised
	l.contended = false
	delete(l.invalid, key)
	l.put(key, account{taken: bytes})
}

// Invalidate ends a promise whose outcome nobody knows. The promise counts until the map is measured, which
// is when another one asks for memory.
func (l *Ledger) Invalidate(key revision.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.invalid[key] = false
	l.freed, l.contended = true, false
}

// Release ends a map. What may be left of it, because it was retained, counts for its namespace until all
// maps are measured, which is before anything is refused for it.
func (l *Ledger) Release(key revision.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, had := l.maps[key]
	waited := l.refused[key]
	delete(l.refused, key)
	delete(l.invalid, key)
	if had {
		l.drop(key)
		left := revision.Key{Namespace: key.Namespace}
		l.put(left, account{taken: l.of(left).taken + before.taken, maps: l.of(left).maps + 1})
		l.reduced = true
	}
	if had || waited {
		l.freed, l.contended = true, false
	}
}

// Unblocked are maps that were refused and may be tried again, because something was freed since. Each is
// returned once, sorted by namespace and name.
func (l *Ledger) Unblocked() []revision.Key {
	l.mu.Lock()
	defer l.mu.Unlock()
	freed := l.freed
	l.freed = false
	if !freed || len(l.refused) == 0 {
		return nil
	}
	keys := slices.SortedFunc(maps.Keys(l.refused), func(a, b revision.Key) int { return strings.Compare(a.String(), b.String()) })
	clear(l.refused)
	return keys
}

// refresh measures what isn't known: everything at first, then the maps that were invalidated. One of those
// that can't be measured is an error only for itself, and keeps its promise: others don't wait for it. fresh
// says that all maps were measured now.
func (l *Ledger) refresh(ctx context.Context, asking revision.Key) (fresh bool, err error) {
	if l.measured.IsZero() || l.sources.UsageOf == nil && len(l.invalid) > 0 {
		return true, l.measure(ctx)
	}
	for key, tried := range l.invalid {
		if tried && key != asking {
			continue // its next run invalidates it again, or all are measured
		}
		if err := ctx.Err(); err != nil {
			return false, err
		}
		bytes, exists, err := l.sources.UsageOf(ctx, key)
		switch {
		case err != nil && key == asking:
			return false, fmt.Errorf("measure the kernel memory of map %s: %w", key, err)
		case err != nil:
			l.invalid[key] = true
			continue
		case exists:
			l.put(key, account{taken: bytes})
		default:
			l.drop(key)
		}
		delete(l.invalid, key)
	}
	return false, nil
}

const (
	// cheapMaps is how many maps are measured again before every refusal.
	cheapMaps = 16
	// measureShare bounds the time that measuring more maps takes: figures are fresh enough for that many
	// times as long as it took.
	measureShare = 10
)

// isStale says whether all maps are to be measured before a refusal.
func (l *Ledger) isStale() bool {
	return l.reduced || len(l.maps) <= cheapMaps || time.Since(l.measured) >= measureShare*l.took
}

// measure asks what all maps take. Promises stay.
func (l *Ledger) measure(ctx context.Context) error {
	start := time.Now()
	uses, err := l.sources.Usage(ctx)
	if err != nil {
		return fmt.Errorf("measure the kernel memory of maps: %w", err)
	}
	measured := map[revision.Key]bool{}
	for _, u := range uses {
		measured[u.Key] = true
	}
	for key, tried := range l.invalid {
		if measured[key] || !tried {
			l.drop(key) // with its promise
			delete(l.invalid, key)
		}
	}
	l.takeOver(uses)
	l.measured, l.took, l.reduced = time.Now(), time.Since(start), false
	return nil
}

// check compares a request with all limits. What this map was promised before is replaced by the request.
func (l *Ledger) check(r Request) (*Refusal, error) {
	namespace, before := r.Key.Namespace, l.of(r.Key)
	if limit := of(l.limits.Maps, namespace); limit > 0 && r.IsNew {
		n := l.namespaces[namespace].maps
		if _, has := l.maps[r.Key]; has {
			n--
		}
		if l.left[r.Adopts] {
			n--
		}
		if n >= limit {
			kept := ""
			if left := l.of(revision.Key{Namespace: namespace}).maps; left > 0 {
				kept = fmt.Sprintf(", %d of them kept after their BPFMaps were deleted", left)
			}
			return &Refusal{fmt.Sprintf("namespace %s has %s on this node%s, and its limit is %d (--namespace-map-limit)", namespace, text.Count(n, "map", "maps"), kept, limit)}, nil
		}
	}
	if limit := of(l.limits.Memory, namespace); limit > 0 {
		if used := l.namespaces[namespace].sum() - before.promised; r.Bytes > limit-used {
			return refuse(r, "the maps of namespace %s take %s of their %s on this node (--namespace-memory-limit)",
				namespace, footprint.Format(used), footprint.Format(limit)), nil
		}
	}
	if limit := l.limits.Node; limit > 0 {
		if used := l.node.sum() - before.promised; r.Bytes > limit-used {
			return refuse(r, "the maps of this node take %s of their %s (--memory-limit)", footprint.Format(used), footprint.Format(limit)), nil
		}
	}
	return l.checkCgroups(r)
}

// checkCgroups compares a request with the limits of this process's own cgroups: the kernel would kill it
// for going over them.
func (l *Ledger) checkCgroups(r Request) (*Refusal, error) {
	if l.sources.Cgroups == nil || r.Bytes <= 0 {
		return nil, nil
	}
	cgroups, err := l.sources.Cgroups()
	if err != nil {
		return nil, fmt.Errorf("read the limit of our own memory cgroup: %w", err)
	}
	promised := l.promisedToOthers(r.Key)
	for _, c := range cgroups {
		if r.Bytes > c.Limit-c.headroom()-c.Used-promised {
			return refuse(r, "the agent, which is charged with it, uses %s of its memory limit of %s and keeps %s for itself",
				footprint.Format(c.Used+promised), footprint.Format(c.Limit), footprint.Format(c.headroom())), nil
		}
	}
	return nil, nil
}

func (l *Ledger) promisedToOthers(key revision.Key) int64 {
	return l.node.promised - l.of(key).promised
}

func refuse(r Request, format string, args ...any) *Refusal {
	return &Refusal{fmt.Sprintf("about %s of kernel memory are needed, and ", footprint.Format(r.Bytes)) + fmt.Sprintf(format, args...)}
}
