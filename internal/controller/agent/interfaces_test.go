// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// watcher is a host whose watches end as a test says.
type watcher struct {
	watch  func(ctx context.Context, changed func()) error
	starts atomic.Int64
}

func (w *watcher) WatchInterfaces(ctx context.Context, changed func()) error {
	w.starts.Add(1)
	changed()
	return w.watch(ctx, changed)
}

// TestWatchesAreStartedAgain whatever ended them, later and later, and everything is looked at after each.
func TestWatchesAreStartedAgain(t *testing.T) {
	for name, end := range map[string]error{"with an error": errors.New("no buffer space available"), "without an error": nil} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			var works atomic.Bool
			w := &watcher{watch: func(ctx context.Context, _ func()) error {
				if works.Load() {
					<-ctx.Done()
				}
				return end
			}}
			var looks atomic.Int64
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				FollowInterfaces(ctx, w, func(context.Context) { looks.Add(1) })
			}()
			time.Sleep(time.Second)
			synctest.Wait()
			if w.starts.Load() < 3 || looks.Load() < 2 {
				t.Errorf("%s: %d starts and %d looks in a second", name, w.starts.Load(), looks.Load())
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			if most := int64(time.Hour/(lastRewatch*9/10)) + 20; w.starts.Load() > most || w.starts.Load() < 100 {
				t.Errorf("%s: %d starts in an hour, want 100…%d", name, w.starts.Load(), most)
			}
			works.Store(true)
			time.Sleep(2 * lastRewatch)
			synctest.Wait()
			starts, before := w.starts.Load(), looks.Load()
			time.Sleep(time.Hour)
			synctest.Wait()
			if w.starts.Load() != starts || looks.Load() != before || starts == 0 {
				t.Errorf("%s: a watch that works was started %d times more, %d looks", name, w.starts.Load()-starts, looks.Load()-before)
			}
			stop()
			<-ended
		})
	}
}

// TestWorkingWatchStartsAnew: after a watch that lasted, the next one comes as soon as after the first.
func TestWorkingWatchStartsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var works atomic.Bool
		var pauses []time.Duration // after watches that lasted
		var ended time.Time
		w := &watcher{watch: func(ctx context.Context, _ func()) error {
			if !ended.IsZero() {
				pauses = append(pauses, time.Since(ended))
				ended = time.Time{}
			}
			if works.Load() {
				sleep(ctx, lastRewatch+1)
				ended = time.Now()
			}
			return errors.New("no buffer space available")
		}}
		done := make(chan struct{})
		go func() {
			defer close(done)
			FollowInterfaces(ctx, w, func(context.Context) {})
		}()
		time.Sleep(time.Hour) // in which pauses grow to lastRewatch
		works.Store(true)
		time.Sleep(10 * lastRewatch)
		stop()
		<-done
		if len(pauses) < 5 || slices.Max(pauses) > 2*firstRewatch || slices.Min(pauses) < firstRewatch {
			t.Errorf("the next watches come after %v", pauses)
		}
	})
}

// TestChangesAreCollected: an interface that comes up changes several times, and is looked at once.
func TestChangesAreCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		change := make(chan struct{})
		w := &watcher{watch: func(ctx context.Context, changed func()) error {
			for {
				select {
				case <-change:
					changed()
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}}
		looks := 0
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			FollowInterfaces(ctx, w, func(context.Context) { looks++ })
		}()
		time.Sleep(time.Second)
		for range 10 {
			change <- struct{}{}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if looks != 2 {
			t.Errorf("%d looks, want one at first and one after ten changes", looks)
		}
		stop()
		<-ended
	})
}

// TestNothingToWatch isn't asked for again.
func TestNothingToWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		w := &watcher{watch: func(context.Context, func()) error { return ErrNotWatched }}
		go FollowInterfaces(ctx, w, func(context.Context) {})
		time.Sleep(time.Hour)
		synctest.Wait()
		if w.starts.Load() != 1 {
			t.Errorf("%d starts", w.starts.Load())
		}
		stop()
		synctest.Wait()
	})
}
