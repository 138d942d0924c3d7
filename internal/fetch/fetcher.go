// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// The bounds of what is fetched at the same time. One host, and one namespace, can keep no more than a part of the
// workers busy, so that a slow one doesn't keep the others waiting.
const (
	workers         = 4
	maxPerHost      = 2
	maxPerNamespace = 2
)

// forgetAfter is how long contents that a process before left are kept, while nobody has asked for them.
const forgetAfter = time.Hour

// Settings are those of a Fetcher.
type Settings struct {
	Client *Client
	// Dir is the folder of the last good contents; empty for a temporary one, which is lost with the process. It takes
	// at most MaxBytes.
	Dir      string
	MaxBytes int64
	// MinInterval is the least time between two fetches of a document; DefaultMinInterval if 0.
	MinInterval time.Duration
	// Changed is called after each attempt, with the readers of the document.
	Changed func([]types.NamespacedName)
	// Log is called with errors that no reader is told of.
	Log func(error)
}

// Fetcher keeps the documents that readers want up to date. It is safe for concurrent use. Want and State never wait
// for a server.
type Fetcher struct {
	Settings
	schedule schedule
	spool    *spool
	wake     chan struct{}

	mu      sync.Mutex
	docs    map[string]*document
	readers map[types.NamespacedName]wanted
	running int
	started time.Time
	// broken is why nothing can be fetched.
	broken error
}

// wanted is what a reader wants, and the token of its last request.
type wanted struct {
	ids   []string
	token string
}

// document is one that somebody wants, or that a process before left.
type document struct {
	spec   Spec
	record Record
	// readers want it, each with an interval.
	readers map[types.NamespacedName]time.Duration
	due     time.Time
	// running says that it is being fetched, and again that somebody asked for it meanwhile.
	running, again bool
	// lost says that its contents have to come as a whole.
	lost bool
}

// State is what is known of a document.
type State struct {
	Record
	// Next is when it is fetched again.
	Next time.Time
}

// Ready says whether there are contents.
func (s *State) Ready() bool { return !s.Good.IsZero() }

// New makes a Fetcher, which fetches while Run does.
func New(s Settings) *Fetcher {
	if s.MinInterval <= 0 {
		s.MinInterval = DefaultMinInterval
	}
	return &Fetcher{
		Settings: s, schedule: schedule{s.MinInterval, func(d time.Duration) time.Duration { return rand.N(max(d, 1)) }},
		wake: make(chan struct{}, 1), docs: map[string]*document{}, readers: map[types.NamespacedName]wanted{},
	}
}

// Want says what a reader wants from now on, instead of what it wanted before. Another token than the last one asks
// for its documents to be fetched anew.
func (f *Fetcher) Want(reader types.NamespacedName, specs []Spec, token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, known := f.readers[reader]
	if !known && len(specs) == 0 {
		return
	}
	now := wanted{token: token}
	for _, s := range specs {
		id := s.ID()
		now.ids = append(now.ids, id)
		f.add(id, s, reader, known && before.token != token)
	}
	for _, id := range before.ids {
		if !slices.Contains(now.ids, id) {
			f.leave(id, reader)
		}
	}
	if f.readers[reader] = now; len(specs) == 0 {
		delete(f.readers, reader)
	}
}

// add notes that a reader wants a document.
func (f *Fetcher) add(id string, s Spec, reader types.NamespacedName, anew bool) {
	f.open()
	d := f.docs[id]
	if d == nil {
		d = &document{readers: map[types.NamespacedName]time.Duration{}, due: f.now()}
		f.docs[id] = d
	}
	was, reads := d.readers[reader]
	d.spec, d.readers[reader] = s, s.interval()
	switch {
	case d.running:
		d.again = d.again || anew
		return
	case anew:
		d.due = later(f.now(), d.record.Tried.Add(minRequested))
	case !reads || was != s.interval():
		d.due = f.dueAfter(d, nil)
	default:
		return
	}
	f.poke()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// dueAfter is when a document is due after its last attempt.
func (f *Fetcher) dueAfter(d *document, err error) time.Time {
	least := time.Duration(0)
	for _, i := range d.readers {
		if least == 0 || i < least {
			least = i
		}
	}
	switch {
	case d.record.Tried.IsZero():
		return f.now()
	case d.record.Failures > 0:
		return d.record.Tried.Add(f.schedule.afterFailure(least, d.record.Failures, err))
	case d.spec.Artifact != nil: // a look at an object of the cluster
		return d.record.Tried.Add(least + f.schedule.spread(least/10))
	}
	return d.record.Tried.Add(f.schedule.afterSuccess(least))
}

// leave notes that a reader doesn't want a document any more.
func (f *Fetcher) leave(id string, reader types.NamespacedName) {
	d := f.docs[id]
	if d == nil {
		return
	}
	if delete(d.readers, reader); len(d.readers) == 0 && !d.running {
		f.drop(id)
	}
}

func (f *Fetcher) drop(id string) {
	delete(f.docs, id)
	if f.spool != nil {
		f.spool.drop(id)
	}
}

// State is what is known of a document. The error is why none can be fetched.
func (f *Fetcher) State(id string) (State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.docs[id]
	if d == nil {
		return State{}, f.broken
	}
	return State{d.record, d.due}, f.broken
}

// Read is the text of a document's last good contents, if they have this digest.
func (f *Fetcher) Read(id, digest string) ([]byte, error) {
	f.mu.Lock()
	d := f.docs[id]
	if d == nil || f.spool == nil || d.record.Meta.Digest != digest {
		f.mu.Unlock()
		return nil, errors.New("it has changed meanwhile")
	}
	meta := d.record.Meta
	f.mu.Unlock()
	data, err := f.spool.read(id, meta)
	if err == nil {
		return data, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !d.running && !d.lost {
		d.lost, d.due = true, later(f.now(), d.record.Tried.Add(minRequested))
		f.poke()
	}
	return nil, err
}

// open uses the folder, once, when the first document is wanted.
func (f *Fetcher) open() {
	if f.spool != nil || f.broken != nil {
		return
	}
	if f.Dir == "" {
		f.Dir, f.broken = os.MkdirTemp("", "bpfmap-sources-")
		if f.broken != nil {
			f.broken = fmt.Errorf("there is no folder for sources: set --source-cache-dir to one that it may write to: %w", f.broken)
			return
		}
	}
	var records map[string]Record
	if f.spool, records, f.broken = openSpool(f.Dir, f.MaxBytes); f.broken != nil {
		f.broken = fmt.Errorf("--source-cache-dir: %w", f.broken)
		return
	}
	f.started = f.now()
	for id, r := range records {
		f.docs[id] = &document{record: r, readers: map[types.NamespacedName]time.Duration{}}
	}
}

func (f *Fetcher) now() time.Time { return f.Client.Clock.now() }

// poke lets Run look again.
func (f *Fetcher) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}
