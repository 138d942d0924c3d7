// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinwatch

import (
	"path"
	"slices"
	"sync"
)

// Followed are the pins that somebody wants to hear of, each for one or more owners. It is safe for concurrent use;
// its zero value follows nothing.
type Followed[K comparable] struct {
	mu     sync.Mutex
	paths  map[K][]string
	owners map[string][]K
	// folders counts the pins in each folder.
	folders map[string]int
	// more holds one if something changed since the last look.
	more chan struct{}
	// renew says that all folders are to be watched anew.
	renew bool
}

// Set replaces the pins of an owner by others; none end it. Paths are relative to the BPF file system.
func (f *Followed[K]) Set(owner K, pins ...string) {
	pins = slices.Clone(pins)
	for i, p := range pins {
		pins[i] = path.Clean(p)
	}
	slices.Sort(pins)
	pins = slices.Compact(pins)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.init()
	if slices.Equal(f.paths[owner], pins) {
		return
	}
	for _, p := range f.paths[owner] {
		f.drop(owner, p)
	}
	delete(f.paths, owner)
	if len(pins) > 0 {
		f.paths[owner] = pins
	}
	for _, p := range pins {
		f.owners[p] = append(f.owners[p], owner)
		f.folders[path.Dir(p)]++
	}
	f.wake()
}

// drop takes one pin away from an owner. The lock is held.
func (f *Followed[K]) drop(owner K, p string) {
	left := slices.DeleteFunc(f.owners[p], func(k K) bool { return k == owner })
	if f.owners[p] = left; len(left) == 0 {
		delete(f.owners, p)
	}
	if f.folders[path.Dir(p)]--; f.folders[path.Dir(p)] == 0 {
		delete(f.folders, path.Dir(p))
	}
}

// Look lets all folders be watched anew, after another file system may have been mounted: the kernel gives device and
// inode numbers of an unmounted one to the next, so that the folders themselves don't tell.
func (f *Followed[K]) Look() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.init()
	f.renew = true
	f.wake()
}

func (f *Followed[K]) init() {
	if f.more == nil {
		f.more, f.paths = make(chan struct{}, 1), map[K][]string{}
		f.owners, f.folders = map[string][]K{}, map[string]int{}
	}
}

// wake says that something changed. The lock is held.
func (f *Followed[K]) wake() {
	select {
	case f.more <- struct{}{}:
	default: // it was said
	}
}

// changes is signalled after Set and Look.
func (f *Followed[K]) changes() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.init()
	return f.more
}

// takeRenew says whether Look was called since the last call.
func (f *Followed[K]) takeRenew() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	renew := f.renew
	f.renew = false
	return renew
}

// inFolders are the folders that hold followed pins.
func (f *Followed[K]) inFolders() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	folders := make([]string, 0, len(f.folders))
	for folder := range f.folders {
		folders = append(folders, folder)
	}
	slices.Sort(folders)
	return folders
}

// of are the owners of a pin.
func (f *Followed[K]) of(pin string) []K {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.owners[pin])
}

// in are the followed pins in a folder.
func (f *Followed[K]) in(folder string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var pins []string
	for p := range f.owners {
		if path.Dir(p) == folder {
			pins = append(pins, p)
		}
	}
	slices.Sort(pins)
	return pins
}
