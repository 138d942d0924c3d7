// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package filewatch

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxLinks bounds how many symbolic links a path leads through, as the kernel does.
const maxLinks = 40

// hop is a name in a folder: what happens to it can make a path lead to something else.
type hop struct{ dir, name string }

// hops are the symbolic links that a path leads through and the file itself, each in the folder that really holds it.
// Of a path that leads nowhere, the last one is what is missing.
func hops(path string) []hop {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil
	}
	var found []hop
	at, links := "/", 0
	for left := steps(path); len(left) > 0; {
		name := left[0]
		left = left[1:]
		if name == ".." {
			at = filepath.Dir(at)
			continue
		}
		info, err := os.Lstat(filepath.Join(at, name))
		switch {
		case err != nil:
			return append(found, hop{at, name})
		case info.Mode()&fs.ModeSymlink != 0:
			found = append(found, hop{at, name})
			target, err := os.Readlink(filepath.Join(at, name))
			if links++; err != nil || links > maxLinks {
				return found
			}
			if filepath.IsAbs(target) {
				at = "/"
			}
			left = append(steps(target), left...)
		case len(left) == 0:
			return append(found, hop{at, name})
		default:
			at = filepath.Join(at, name)
		}
	}
	return found
}

// steps are the names of a path.
func steps(path string) []string {
	var all []string
	for step := range strings.SplitSeq(path, "/") {
		if step != "" && step != "." {
			all = append(all, step)
		}
	}
	return all
}
