// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package field_test

import (
	"fmt"
	"path/filepath"

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

// runner loads an object with a map that is pinned in bpfmap/edge.
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

// number is the first one in a map of the program's own.
func (r *runner) number(name string) (n uint64) {
	r.Helper()
	if err := r.collection.Maps[name].Lookup(uint32(0), &n); err != nil {
		r.Fatal(err)
	}
	return n
}

// start runs the program as fast as it can until stop is called.
func (r *runner) start(want uint32) (stop func()) {
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
		}
	}()
	return func() {
		r.Helper()
		close(end)
		if err := <-ended; err != nil {
			r.Error(err)
		}
	}
}
