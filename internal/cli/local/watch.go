// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/interrupt"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/locked"
	"github.com/bpfmap-io/bpfmap-operator/internal/fetch"
	"github.com/bpfmap-io/bpfmap-operator/internal/filewatch"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

const (
	// lookEvery is how often files are looked at though nothing was told of them, and unwatchedEvery how often where
	// they can't be watched. busyEvery is how often one that is being written to is.
	lookEvery      = 30 * time.Second
	unwatchedEvery = 2 * time.Second
	busyEvery      = time.Second
	// collect is how long events are collected before files are looked at.
	collect = 50 * time.Millisecond
	// minResync keeps a mistyped period from reading every map continuously.
	minResync = 10 * time.Millisecond
	// stopGrace is how long the work on a map may take to come to a place where it can stop.
	stopGrace = 8 * time.Second
)

// watchFlags are those of apply --watch.
type watchFlags struct {
	on                  bool
	resync, minInterval time.Duration
	cacheDir            string
}

func (f *watchFlags) add(c *cobra.Command) {
	c.Flags().BoolVar(&f.on, "watch", false, "stay, and apply each change of the manifests and of what they read, until SIGINT or SIGTERM")
	c.Flags().DurationVar(&f.resync, "resync-period", 5*time.Minute, "with --watch: how often each map is compared with the kernel")
	c.Flags().DurationVar(&f.minInterval, "min-source-interval", fetch.DefaultMinInterval, "with --watch: least time between two fetches of a source")
	c.Flags().StringVar(&f.cacheDir, "source-cache-dir", "", "with --watch: folder of the last good contents of http sources (default a temporary one)")
	_ = c.MarkFlagDirname("source-cache-dir") // fails only for a flag that doesn't exist
}

// check says what is wrong with the flags.
func (f *watchFlags) check(c *cobra.Command, in *inputFlags) error {
	if !f.on {
		for _, name := range []string{"resync-period", "min-source-interval", "source-cache-dir"} {
			if c.Flags().Changed(name) {
				return fmt.Errorf("--%s is for --watch alone", name)
			}
		}
		return nil
	}
	switch {
	case len(in.paths) == 0:
		return errNothing
	case slices.Contains(in.paths, "-"):
		return errors.New("--watch: standard input (-f -) can't be watched: give files or folders")
	case f.resync < minResync:
		return fmt.Errorf("--resync-period %s: must be at least %s", f.resync, minResync)
	case f.minInterval <= 0:
		return fmt.Errorf("--min-source-interval %s: must be more than 0", f.minInterval)
	}
	if _, err := in.documents.configMaps("", func(string) ([]byte, error) { return nil, nil }); err != nil {
		return err
	}
	var missing error
	for _, p := range in.paths {
		_, err := os.Stat(p)
		if err == nil {
			return nil
		}
		missing = errors.Join(missing, err)
	}
	return fmt.Errorf("nothing can be watched: %w", missing)
}

// watching is apply --watch. Everything in it is done by one goroutine, but the fetching of sources.
type watching struct {
	c        *cobra.Command
	in       *inputFlags
	resync   time.Duration
	showPlan bool

	engine *locked.Engine
	files  *filewatch.Watch
	remote *followed
	cache  *compile.Cache
	say    *journal

	// seen is how the files were that were read last, and news what was there of the http sources.
	seen filewatch.Look
	news map[string]string
	// sources are the files that manifests name.
	sources []string
	// busy are files that are being written to, and since when.
	busy map[string]time.Time

	// kept are the maps and what they are to hold, in the order of the manifests.
	kept     map[revision.Key]*kept
	order    []revision.Key
	resyncAt time.Time
	lookAt   time.Time
}

// watch applies the manifests, and then each change, until the command's context ends.
func watch(c *cobra.Command, in *inputFlags, flags *watchFlags, e *locked.Engine, showPlan bool) error {
	ctx := c.Context()
	interrupt.AllowGrace(ctx, stopGrace)
	interrupt.Expect(ctx)
	interrupt.Report(ctx, func() string { return "the map that was worked on is to be continued by the next apply" })
	w := &watching{
		c: c, in: in, resync: flags.resync, showPlan: showPlan,
		engine: e, files: filewatch.New(), cache: compile.NewCache(), say: newJournal(c),
		busy: map[string]time.Time{}, kept: map[revision.Key]*kept{},
	}
	defer w.files.Close()
	remote, end := follow(ctx, flags, in.documents.offline, func(err error) { c.PrintErrf("Error: %v\n", err) })
	defer end()
	w.remote = remote
	w.resyncAt = time.Now().Add(w.resync)
	w.take(ctx)
	w.sync(ctx)
	if ctx.Err() == nil {
		_, _ = daemon.SdNotify(false, daemon.SdNotifyReady) // who doesn't run under systemd isn't told
	}
	for ctx.Err() == nil && w.say.err == nil {
		w.wait(ctx)
		if ctx.Err() == nil && w.isDue(ctx) {
			w.take(ctx)
		}
		w.sync(ctx)
	}
	_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
	return w.say.err
}

// wait waits until something may have to be done.
func (w *watching) wait(ctx context.Context) {
	timer := time.NewTimer(time.Until(w.due()))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-w.remote.changes:
	case <-w.files.Changes():
		pause(ctx, collect)
	}
}

// pause waits for a time; it is false if ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// due is when something has to be done though nothing is told.
func (w *watching) due() time.Time {
	due := w.resyncAt
	sooner := func(t time.Time) {
		if !t.IsZero() && t.Before(due) {
			due = t
		}
	}
	sooner(w.lookAt)
	for _, k := range w.kept {
		sooner(k.next)
		sooner(k.retry)
	}
	return due
}
