// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package mounts

import "testing"

func TestRoot(t *testing.T) {
	for _, c := range []struct {
		root             Root
		node, here, back string
	}{
		{"", "/sys/fs/bpf", "/sys/fs/bpf", "/sys/fs/bpf"},
		{"/host", "/sys/fs/bpf", "/host/sys/fs/bpf", "/sys/fs/bpf"},
		{"/host/", "/sys/fs/bpf/", "/host/sys/fs/bpf", "/sys/fs/bpf"},
		{"/host", "/host/sys/fs/bpf", "/host/sys/fs/bpf", "/sys/fs/bpf"}, // as this process sees it
		{"/host", "/hosts/bpf", "/host/hosts/bpf", "/hosts/bpf"},
		{"/", "/sys/fs/bpf", "/sys/fs/bpf", "/sys/fs/bpf"},
	} {
		here := c.root.Here(c.node)
		if back := c.root.Node(here); here != c.here || back != c.back {
			t.Errorf("%q: %s is at %s, want %s, and back at %s, want %s", c.root, c.node, here, c.here, back, c.back)
		}
	}
	if path := Root("/host").Node("/elsewhere"); path != "/elsewhere" {
		t.Errorf("a path outside of the root becomes %s", path)
	}
}
