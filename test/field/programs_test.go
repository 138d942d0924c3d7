// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package field_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"github.com/bpfmap-io/bpfmap-operator/test/clang"
	"github.com/bpfmap-io/bpfmap-operator/test/wire"
)

// attach compiles a program, loads it with a map that is pinned in bpfmap/edge, and puts it at the machine's interface.
func (m *machine) attach(source, name string) (object string) {
	m.Helper()
	object = clang.BPF(m, source)
	m.run("bpftool", "prog", "load", object, "/sys/fs/bpf/program", "type", "xdp",
		"map", "name", name, "pinned", "/sys/fs/bpf/bpfmap/edge/"+name)
	m.run("bpftool", "net", "attach", "xdpdrv", "pinned", "/sys/fs/bpf/program", "dev", wire.Interface)
	return object
}

// runner runs a loaded program without an interface.
type runner struct {
	*machine
	collection *ebpf.Collection
	program    string
}

// load loads an object with a map that is pinned in bpfmap/edge.
func (m *machine) runner(object, program, name string) *runner {
	m.Helper()
	spec, err := ebpf.LoadCollectionSpec(object)
	if err != nil {
		m.Fatal(err)
	}
	pinned, err := ebpf.LoadPinnedMap(filepath.Join(m.bpffs, "bpfmap/edge", name), nil)
	if err != nil {
		m.Fatal(err)
	}
	defer func() { _ = pinned.Close() }()
	c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: map[string]*ebpf.Map{name: pinned}})
	if err != nil {
		m.Fatal(err)
	}
	m.Cleanup(c.Close)
	return &runner{m, c, program}
}

// run runs the program n times, and returns its last verdict.
func (r *runner) run(n int) (verdict uint32, err error) {
	const frame = 64
	return r.collection.Programs[r.program].Run(&ebpf.RunOptions{Data: make([]byte, frame), Repeat: uint32(n)})
}

// start runs the program as fast as it can, until stop tells how often it ran.
func (r *runner) start(want uint32) (stop func() uint64) {
	var runs atomic.Uint64
	ended, end := make(chan error), make(chan struct{})
	go func() {
		for {
			select {
			case <-end:
				ended <- nil
				return
			default:
			}
			const repeat = 2000
			if verdict, err := r.run(repeat); err != nil || verdict != want {
				ended <- fmt.Errorf("the program's verdict is %d, want %d: %w", verdict, want, err)
				return
			}
			runs.Add(repeat)
		}
	}()
	return func() uint64 {
		r.Helper()
		close(end)
		if err := <-ended; err != nil {
			r.Error(err)
		}
		return runs.Load()
	}
}
