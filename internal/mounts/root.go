// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package mounts

import (
	"path/filepath"
	"strings"
)

// The environment variables of a container: RootEnv has its Root, CgroupEnv where it finds the node's cgroup2
// file system.
const (
	RootEnv   = "BPFMAP_HOST_ROOT"
	CgroupEnv = "BPFMAP_CGROUP_ROOT"
)

// Root is the folder in which a process finds the file system of its node, or as much of it as is mounted
// there. A process that isn't in a container has the root "", in which all paths are the node's.
type Root string

// Here is where this process finds what is at an absolute path of the node. A path that is in the root already
// stays.
func (r Root) Here(node string) string {
	if r == "" || r.holds(node) {
		return node
	}
	return filepath.Join(string(r), node)
}

// Node is the node's path of what this process finds at path.
func (r Root) Node(here string) string {
	if r == "" || !r.holds(here) {
		return here
	}
	return filepath.Join("/", strings.TrimPrefix(here, filepath.Clean(string(r))))
}

// holds says whether a path is in the root.
func (r Root) holds(path string) bool {
	root := filepath.Clean(string(r))
	return path == root || strings.HasPrefix(path, strings.TrimSuffix(root, "/")+"/")
}
