// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"maps"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	words "github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// Run fetches what is due until ctx ends.
func (f *Fetcher) Run(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
		case <-timer.C:
		}
		for _, id := range f.begin() {
			all.Go(func() { f.fetch(ctx, id) })
		}
		timer.Reset(f.pause())
	}
}

// begin marks the documents that are to be fetched now, and returns their IDs.
func (f *Fetcher) begin() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	hosts, namespaces := map[string]int{}, map[string]int{}
	var due []string
	for id, d := range f.docs {
		switch {
		case d.running:
			hosts[d.host()]++
			namespaces[d.namespace()]++
		case len(d.readers) == 0:
			if now.Sub(f.started) > forgetAfter {
				f.drop(id)
			}
		case !d.due.After(now):
			due = append(due, id)
		}
	}
	slices.SortFunc(due, func(a, b string) int { return f.docs[a].due.Compare(f.docs[b].due) })
	var begun []string
	for f.running < workers {
		next := -1
		for i, id := range due { // of the namespaces with the fewest fetches the one that waits longest
			d := f.docs[id]
			if hosts[d.host()] >= maxPerHost || namespaces[d.namespace()] >= maxPerNamespace {
				continue
			}
			if next < 0 || namespaces[d.namespace()] < namespaces[f.docs[due[next]].namespace()] {
				next = i
			}
		}
		if next < 0 {
			break
		}
		d := f.docs[due[next]]
		d.running = true
		f.running++
		hosts[d.host()]++
		namespaces[d.namespace()]++
		begun = append(begun, due[next])
		due = slices.Delete(due, next, next+1)
	}
	return begun
}

// pause is the time until the next document is due that isn't waiting for a worker.
func (f *Fetcher) pause() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	pause, now := forgetAfter, f.now()
	for _, d := range f.docs {
		if in := d.due.Sub(now); !d.running && len(d.readers) > 0 && in > 0 {
			pause = min(pause, in)
		}
	}
	return pause
}

// host is where a document is, and namespace whose turn it is. All artifacts are on one host.
func (d *document) host() string {
	if d.spec.HTTP == nil {
		return ""
	}
	u, err := url.Parse(d.spec.HTTP.URL)
	if err != nil {
		return ""
	}
	return u.Host
}

func (d *document) namespace() string {
	first := ""
	for r := range d.readers {
		if first == "" || r.Namespace < first {
			first = r.Namespace
		}
	}
	return first
}

// fetch makes one attempt.
func (f *Fetcher) fetch(ctx context.Context, id string) {
	f.mu.Lock()
	d := f.docs[id]
	spec, record, lost := d.spec, d.record, d.lost
	f.mu.Unlock()
	var before *Meta
	if !record.Good.IsZero() && !lost && f.spool.has(id) {
		before = &record.Meta
	}
	text := f.spool.newText(id)
	got, err := f.Client.Fetch(ctx, spec, before, text)
	if ctx.Err() != nil {
		_ = os.Remove(text) // the next process would remove it, too
		return
	}
	record.Tried = f.now()
	switch {
	case err == nil && got.Unchanged:
		record.succeeded()
		err = f.spool.note(id, record)
	case err == nil:
		record.Meta = got.Meta
		record.succeeded()
		err = f.spool.put(id, record)
	}
	if err != nil {
		record = d.recordAfter(&f.mu, err, f.now())
		_ = os.Remove(text) // there may be none
		if err := f.spool.note(id, record); err != nil {
			f.Log(err)
		}
	}
	f.end(id, d, record, err)
}

func (r *Record) succeeded() {
	r.Good, r.Failure, r.Since, r.Failures = r.Tried, "", time.Time{}, 0
}

// maxFailure bounds the text of a failure, parts of which are the server's.
const maxFailure = 1024

// recordAfter is the record after an attempt that failed: what was good stays.
func (d *document) recordAfter(mu *sync.Mutex, err error, now time.Time) Record {
	mu.Lock()
	defer mu.Unlock()
	r := d.record
	r.Tried = now
	if r.Failures++; r.Failures == 1 {
		r.Since = now
	}
	r.Failure = words.Truncate(err.Error(), maxFailure)
	return r
}

// end notes what an attempt led to, and tells the readers.
func (f *Fetcher) end(id string, d *document, r Record, err error) {
	f.mu.Lock()
	d.record, d.running = r, false
	if err == nil {
		d.lost = false
	}
	f.running--
	if d.due = f.dueAfter(d, err); d.again {
		d.again, d.due = false, later(f.now(), r.Tried.Add(minRequested))
	}
	readers := slices.Collect(maps.Keys(d.readers))
	if len(readers) == 0 {
		f.drop(id)
	}
	f.mu.Unlock()
	f.Changed(readers)
	f.poke()
}
