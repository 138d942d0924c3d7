// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package filewatch

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/fsnotify/fsnotify"
)

// MaxFolders bounds how many folders are watched.
const MaxFolders = 1024

// Watch tells that something may have happened to files and folders. It is safe for concurrent use.
type Watch struct {
	changes chan struct{}
	// interest is what folders was after the last Follow. Who reads events takes no lock: the library holds one of its
	// own while it waits for a reader, and mu is held while the library is called.
	interest atomic.Pointer[map[string]*folder]

	mu sync.Mutex
	// notify is nil while there is no watcher.
	notify  *fsnotify.Watcher
	folders map[string]*folder
	readers sync.WaitGroup
}

// folder is one that is watched. It isn't changed once it is.
type folder struct {
	info fs.FileInfo
	// names are those that matter in it; all names do if there are none.
	names map[string]bool
}

// New is a Watch that follows nothing.
func New() *Watch { return &Watch{changes: make(chan struct{}, 1), folders: map[string]*folder{}} }

// Changes holds one if something may have happened since it was last received from.
func (w *Watch) Changes() <-chan struct{} { return w.changes }

// Follow says what is of interest from now on: files, whether they are there or not, and everything that comes and goes
// in folders. What happened before isn't told: look afterwards. The error says why changes may not be told, until the
// next call of Follow; those that can be told are.
func (w *Watch) Follow(files, folders []string) error {
	wanted := map[string]*folder{}
	for _, f := range files {
		note(wanted, f)
	}
	for _, f := range folders {
		note(wanted, f)
		if there, err := filepath.EvalSymlinks(f); err == nil {
			if there, err = filepath.Abs(there); err == nil {
				wanted[there] = &folder{}
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(wanted) > MaxFolders {
		w.end()
		return fmt.Errorf("%d folders hold what is read, and at most %d are watched", len(wanted), MaxFolders)
	}
	if err := w.begin(); err != nil {
		return err
	}
	err := w.update(wanted)
	now := maps.Clone(w.folders)
	w.interest.Store(&now)
	return err
}

// note notes the folders in which a path can be made to lead to something else.
func note(wanted map[string]*folder, path string) {
	for _, h := range hops(path) {
		at := wanted[h.dir]
		if at == nil {
			at = &folder{names: map[string]bool{}}
			wanted[h.dir] = at
		}
		if at.names != nil {
			at.names[h.name] = true
		}
	}
}

// begin makes a watcher if there is none. The lock is held.
func (w *Watch) begin() error {
	if w.notify != nil {
		return nil
	}
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch files (fs.inotify.max_user_instances bounds how many watchers a user may have): %w", err)
	}
	w.notify = notify
	w.readers.Go(func() { w.read(notify) })
	return nil
}

// update watches the folders that are wanted, and no others. The lock is held.
func (w *Watch) update(wanted map[string]*folder) error {
	watched := map[string]bool{}
	for _, dir := range w.notify.WatchList() {
		watched[dir] = true
	}
	for dir := range w.folders {
		if wanted[dir] == nil {
			w.drop(dir, watched)
		}
	}
	var failed error
	for dir, f := range wanted {
		err := w.add(dir, f, watched)
		if err != nil && failed == nil {
			failed = fmt.Errorf("watch folder %s (fs.inotify.max_user_watches bounds how many a user may watch): %w", dir, err)
		}
	}
	return failed
}

// add watches a folder, unless it is the one that is watched already. One that is gone was there a moment ago: its
// coming is told by the next Follow. The lock is held.
func (w *Watch) add(dir string, f *folder, watched map[string]bool) error {
	var err error
	f.info, err = os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		w.drop(dir, watched)
		w.tell() // what was found a moment ago isn't so any more
		return nil
	case err != nil:
		return err
	}
	if was := w.folders[dir]; was != nil && watched[dir] && os.SameFile(was.info, f.info) {
		w.folders[dir] = f
		return nil
	}
	w.drop(dir, watched)
	if err := w.notify.Add(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	w.folders[dir] = f
	return nil
}

// drop ends the watch of a folder. That it is gone is no error. The lock is held.
func (w *Watch) drop(dir string, watched map[string]bool) {
	if watched[dir] {
		_ = w.notify.Remove(dir)
	}
	delete(w.folders, dir)
}

// read reads events until the watcher is closed.
func (w *Watch) read(from *fsnotify.Watcher) {
	for {
		select {
		case event, more := <-from.Events:
			if !more {
				return
			}
			if w.matters(event.Name) {
				w.tell()
			}
		case _, more := <-from.Errors: // such as a queue that was full: whoever looks misses nothing
			if !more {
				return
			}
			w.tell()
		}
	}
}

// matters says whether an event is about something of interest.
func (w *Watch) matters(path string) bool {
	at := w.interest.Load()
	if at == nil {
		return false
	}
	if (*at)[path] != nil { // the folder itself came or went
		return true
	}
	f := (*at)[filepath.Dir(path)]
	return f != nil && (f.names == nil || f.names[filepath.Base(path)])
}

func (w *Watch) tell() {
	select {
	case w.changes <- struct{}{}:
	default: // it was told
	}
}

// end closes the watcher. The lock is held.
func (w *Watch) end() {
	if w.notify != nil {
		_ = w.notify.Close() // nothing is lost by it
		w.notify = nil
	}
	clear(w.folders)
}

// Close ends the watch.
func (w *Watch) Close() {
	w.mu.Lock()
	w.end()
	w.mu.Unlock()
	w.readers.Wait()
}
