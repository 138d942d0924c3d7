// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package filewatch

import (
	"maps"
	"os"
	"slices"
	"syscall"
)

// Look is how files were at one moment, by their paths. Symbolic links are followed: a link that leads to another file
// is a change.
type Look map[string]State

// State tells one version of a file from another one, as stat(2) does. It is zero for a file that isn't there.
type State struct {
	dev, ino          uint64
	size              int64
	modified, changed syscall.Timespec
	// failed is why there is no more to say of a file than its name.
	failed string
}

// At looks at files.
func At(paths []string) Look {
	look := make(Look, len(paths))
	for _, p := range paths {
		look[p] = stateOf(p)
	}
	return look
}

func stateOf(path string) State {
	info, err := os.Stat(path)
	if os.IsNotExist(err) {
		return State{}
	}
	if err != nil {
		return State{failed: err.Error()}
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return State{failed: "the file system doesn't tell"}
	}
	return State{dev: s.Dev, ino: s.Ino, size: s.Size, modified: s.Mtim, changed: s.Ctim}
}

// Since are the files that are another version than before, or that only one of the two looks is at, sorted.
func (l Look) Since(before Look) []string {
	changed := map[string]bool{}
	for p, s := range l {
		if was, known := before[p]; !known || was != s {
			changed[p] = true
		}
	}
	for p := range before {
		if _, known := l[p]; !known {
			changed[p] = true
		}
	}
	return slices.Sorted(maps.Keys(changed))
}

// Exists says whether a file was there.
func (l Look) Exists(path string) bool { return l[path] != State{} }
