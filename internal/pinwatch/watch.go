// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinwatch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long changes are collected: whoever replaces a pin removes one and makes one.
const settle = 100 * time.Millisecond

// Run calls changed after something happened to a followed pin in the BPF file system at root, once for each of its
// owners, until ctx ends. What happened at one pin within settle is one call; nothing says what it was, and what the
// caller does itself is told, too. So are pins whose folder is watched from now on: nobody knows what happened before. Where the folder of a pin isn't there, the next one above it is watched. An error
// says why the watch ended before ctx, after which changes may have been missed. changed doesn't block.
func Run[K comparable](ctx context.Context, root string, followed *Followed[K], changed func(owner K, pin string)) error {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch pins (fs.inotify.max_user_instances bounds how many watchers there may be): %w", err)
	}
	w := &watch[K]{root: root, followed: followed, notify: notify, folders: map[string]fs.FileInfo{}, pending: map[string]bool{}}
	err = w.run(ctx, changed)
	if closeErr := notify.Close(); err == nil {
		err = closeErr
	}
	return err
}

// watch is a Run.
type watch[K comparable] struct {
	root     string
	followed *Followed[K]
	notify   *fsnotify.Watcher
	// folders are those that are watched, relative to root, as they were when the watch began: another file system
	// may be mounted over one.
	folders map[string]fs.FileInfo
	// pending are the pins at which something happened.
	pending map[string]bool
}

func (w *watch[K]) run(ctx context.Context, changed func(owner K, pin string)) error {
	if err := w.look(); err != nil {
		return err
	}
	var settled <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.followed.changes():
			if err := w.look(); err != nil {
				return err
			}
		case event := <-w.notify.Events:
			w.note(event)
		case err := <-w.notify.Errors: // the queue is full, or the file system is gone
			return fmt.Errorf("watch pins: %w", err)
		case <-settled:
			settled = nil
			if err := w.tell(changed); err != nil {
				return err
			}
		}
		if settled == nil && len(w.pending) > 0 {
			settled = time.After(settle)
		}
	}
}

// note notes what an event is about.
func (w *watch[K]) note(event fsnotify.Event) {
	if rel, err := filepath.Rel(w.root, event.Name); err == nil {
		w.pending[rel] = true
	}
}

// tell says at which pins something happened. A folder that came or went is one that is to be watched, or not any
// more.
func (w *watch[K]) tell(changed func(owner K, pin string)) error {
	happened := w.pending
	w.pending = map[string]bool{}
	for p := range happened {
		for _, owner := range w.followed.of(p) {
			changed(owner, p)
		}
	}
	return w.look()
}

// look begins to watch folders that came, and ends with those that went or that nobody follows any more.
func (w *watch[K]) look() error {
	if w.followed.takeRenew() {
		for folder := range w.folders {
			w.remove(folder)
		}
	}
	wanted := map[string]bool{}
	for _, folder := range w.followed.inFolders() {
		there, news, err := w.add(folder)
		if err != nil {
			return err
		}
		wanted[there] = true
		if news {
			for _, p := range w.followed.in(folder) {
				w.pending[p] = true
			}
		}
	}
	for folder := range w.folders {
		if !wanted[folder] {
			w.remove(folder)
		}
	}
	return nil
}

// add watches a folder, or the next one above it that is there. news says that the folder itself is watched from
// now on.
func (w *watch[K]) add(folder string) (there string, news bool, err error) {
	for there = folder; ; there = path.Dir(there) {
		at := filepath.Join(w.root, there)
		now, err := os.Stat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist) && there != ".":
			continue
		case err != nil:
			return "", false, fmt.Errorf("watch pins: %w", err)
		case w.folders[there] != nil && os.SameFile(w.folders[there], now):
			return there, false, nil
		}
		w.remove(there)
		if err := w.notify.Add(at); err != nil {
			return "", false, fmt.Errorf("watch pins in %s (fs.inotify.max_user_watches bounds how many folders can be watched): %w", at, err)
		}
		w.folders[there] = now
		return there, there == folder, nil
	}
}

// remove ends the watch of a folder, if there is one. That the folder is gone is no error.
func (w *watch[K]) remove(folder string) {
	at := filepath.Join(w.root, folder)
	if slices.Contains(w.notify.WatchList(), at) {
		_ = w.notify.Remove(at)
	}
	delete(w.folders, folder)
}
