// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loaders_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	"github.com/bpfmap-io/bpfmap-operator/internal/manifest"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// world is a BPF file system with an engine over it, and the revisions of testdata/maps.
type world struct {
	*testing.T
	*engine.Engine
	bpffs string
	// root is where programs look for the maps of the namespace.
	root string
	// revisions by the name of the program's map.
	revisions map[string]*revision.Revision
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, bpffs: bpftest.BPFFS(t), revisions: map[string]*revision.Revision{}}
	w.root = filepath.Join(w.bpffs, "bpfmap", "edge")
	backend, err := kernel.New(w.bpffs, kernel.Options{})
	w.must(err)
	w.Engine = engine.New(backend, engine.Options{Local: true})
	set := manifest.Read(manifest.Options{Paths: []string{"testdata/maps"}})
	for _, p := range set.Problems {
		t.Fatal(p)
	}
	for _, m := range set.Manifests {
		rev, err := compile.Compile(m.Map)
		w.must(err)
		w.revisions[filepath.Base(rev.Pin.Path)] = rev
	}
	return w
}

// in is the world as a subtest sees it.
func (w *world) in(t *testing.T) *world {
	sub := *w
	sub.T = t
	return &sub
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// sync brings one map to its revision.
func (w *world) sync(name string, want engine.Action) engine.Report {
	w.Helper()
	r := w.Sync(w.Context(), w.revisions[name])
	if r.Err != nil || r.Action != want {
		w.Fatalf("sync of %s: action %q, want %q: %v\n%s", name, r.Action, want, r.Err, r.Plan.String())
	}
	return r
}

// start loads the program until the test ends.
func (w *world) start(load loader, object string) program {
	w.Helper()
	p, err := load(w.T, object, w.root)
	w.must(err)
	w.Cleanup(func() {
		if err := p.close(); err != nil {
			w.Error(err)
		}
	})
	return p
}

// makeRoot makes the directory that loaders pin in, as the documentation says.
func (w *world) makeRoot() {
	w.Helper()
	w.must(os.MkdirAll(w.root, 0o755))
}

// read is what the map at the pin holds, as "key=value" in hex.
func (w *world) read(name string) map[string]string {
	w.Helper()
	m, err := bpf.GetPinned(filepath.Join(w.root, name), bpf.RdOnly)
	w.must(err)
	defer func() { w.must(m.Close()) }()
	all := map[string]string{}
	it := m.Iterate(w.Context(), bpf.IterateOptions{})
	for it.Next() {
		for i := range it.Len() {
			key, value := it.Keys()[i*m.KeySize():][:m.KeySize()], it.Values()[i*m.ValueStride():][:m.ValueStride()]
			all[fmt.Sprintf("%x", key)] = fmt.Sprintf("%x", value)
		}
	}
	w.must(it.Err())
	return all
}

// sum adds up the CPUs' values of a counter.
func (w *world) sum(index uint32) (n uint64) {
	w.Helper()
	packed, err := hex.DecodeString(w.read("counters")[fmt.Sprintf("%x", u32(index))])
	w.must(err)
	for ; len(packed) > 0; packed = packed[8:] {
		n += binary.NativeEndian.Uint64(packed)
	}
	return n
}

func (w *world) pinnedID(name string) uint32 {
	w.Helper()
	m, err := bpf.GetPinned(filepath.Join(w.root, name), bpf.RdOnly)
	w.must(err)
	info, err := m.Info()
	w.must(err)
	w.must(m.Close())
	return info.ID
}

func u32(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }
func u64(n uint64) []byte { return binary.NativeEndian.AppendUint64(nil, n) }

// onAllCPUs is one value for each possible CPU.
func onAllCPUs(t *testing.T, value []byte) (all []byte) {
	t.Helper()
	cpus, err := bpf.PossibleCPUs()
	if err != nil {
		t.Fatal(err)
	}
	for range cpus {
		all = append(all, value...)
	}
	return all
}

func prefix(text string) []byte {
	p := netip.MustParsePrefix(text)
	return append(u32(uint32(p.Bits())), p.Addr().AsSlice()...)
}

// rule is a value of blocklist.
func rule(action byte, number uint32) []byte { return append([]byte{action, 0, 0, 0}, u32(number)...) }

// packet is an IPv4 packet from source in an Ethernet frame.
func packet(source string) []byte {
	const header, sourceAt = 14, 12
	frame := make([]byte, 64)
	frame[12], frame[header] = 0x08, 0x45
	copy(frame[header+sourceAt:], netip.MustParseAddr(source).AsSlice())
	return frame
}
