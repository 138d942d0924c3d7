// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package users

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

func TestMain(m *testing.M) { bpftest.Main(m) }

func create(t testing.TB, o bpf.CreateOpts) (*bpf.Map, uint32) {
	t.Helper()
	m, err := bpf.Create(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	return m, info.ID
}

var table = bpf.CreateOpts{Type: bpf.Hash, Name: "table", KeySize: 4, ValueSize: 8, MaxEntries: 10}

// reader loads a program that uses maps.
func reader(t testing.TB, name string, maps ...*bpf.Map) *ebpf.Program {
	t.Helper()
	var insns asm.Instructions
	for _, m := range maps {
		insns = append(insns, asm.LoadMapPtr(asm.R1, m.FD()))
	}
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: name, Type: ebpf.SocketFilter, License: "GPL", Instructions: append(insns, asm.Mov.Imm(asm.R0, 0), asm.Return()),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func id(t testing.TB, p *ebpf.Program) uint32 {
	t.Helper()
	info, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	n, _ := info.ID()
	return uint32(n)
}

// using are the ids of the programs that use a map, and how often other maps hold it; it fails if the map isn't there.
func using(t testing.TB, s *Snapshot, mapID uint32) (programs []uint32, others int) {
	t.Helper()
	for i := range s.Programs {
		if slices.Contains(s.Programs[i].Maps, mapID) {
			programs = append(programs, s.Programs[i].ID)
		}
	}
	for i := range s.Maps {
		if s.Maps[i].ID == mapID {
			return programs, s.Maps[i].Held - len(programs)
		}
	}
	t.Fatalf("map %d isn't among %d maps", mapID, len(s.Maps))
	return nil, 0
}

// ways are the ways to look.
var ways = []struct {
	name string
	look func(context.Context) (*Snapshot, error)
}{{"iterators", Look}, {"ids", lookByIDs}}

func look(t testing.TB) *Snapshot {
	t.Helper()
	return known(t, Look)
}

// known is a look that tells what holds maps: while others on this machine load programs one look may not.
func known(t testing.TB, look func(context.Context) (*Snapshot, error)) *Snapshot {
	t.Helper()
	var s *Snapshot
	await.Nil(t, time.Minute, func() (err error) {
		if s, err = look(t.Context()); err == nil && slices.ContainsFunc(s.Maps, func(m Map) bool { return m.Held == -1 }) {
			err = errors.New("what holds maps can't be told")
		}
		return err
	})
	return s
}

// TestLook sees programs come and go, by both ways of looking.
func TestLook(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			look := func(t testing.TB) *Snapshot {
				t.Helper()
				if way.name == "iterators" {
					return known(t, way.look)
				}
				s, err := way.look(t.Context()) // it can't tell, if somebody else has a map of maps
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			m, mapID := create(t, table)
			other, otherID := create(t, table)
			if programs, others := using(t, look(t), mapID); len(programs) != 0 || others > 0 {
				t.Errorf("a new map is used by programs %v and %d others", programs, others)
			}
			one, two := reader(t, "one", m, other), reader(t, "two", m)
			s := look(t)
			if programs, others := using(t, s, mapID); !slices.Equal(programs, []uint32{id(t, one), id(t, two)}) || others > 0 {
				t.Errorf("used by %v and %d others, want %d and %d", programs, others, id(t, one), id(t, two))
			}
			if programs, _ := using(t, s, otherID); !slices.Equal(programs, []uint32{id(t, one)}) {
				t.Errorf("the other map is used by %v", programs)
			}
			info, err := one.Info()
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(s.Programs, func(p bpf.ProgramInfo) bool { return p.ID == id(t, one) })
			if p := s.Programs[i]; p.Name != "one" || p.Type != uint32(ebpf.SocketFilter) || fmt.Sprintf("%x", p.Tag) != info.Tag {
				t.Errorf("%+v, want the tag %s", p, info.Tag)
			}
			i = slices.IndexFunc(s.Maps, func(m Map) bool { return m.ID == mapID })
			want := Map{mapID, uint32(bpf.Hash), "table", 4, 8, 10, 2}
			if s.Maps[i].Held == -1 {
				want.Held = -1
			}
			if got := s.Maps[i]; got != want {
				t.Errorf("map %+v, want %+v", got, want)
			}
			if err := errors.Join(one.Close(), two.Close()); err != nil {
				t.Fatal(err)
			}
			await.Nil(t, time.Minute, func() error { // the kernel frees programs some time later
				if programs, others := using(t, look(t), mapID); len(programs) != 0 || others > 0 {
					return fmt.Errorf("used by %v and %d others though both programs are gone", programs, others)
				}
				return nil
			})
		})
	}
}

// TestMapInMap tells a map that another map holds from one that nothing holds, and says so if it can't.
func TestMapInMap(t *testing.T) {
	inner, innerID := create(t, table)
	outer, outerID := create(t, bpf.CreateOpts{Type: bpf.ArrayOfMaps, Name: "outer", KeySize: 4, ValueSize: 4, MaxEntries: 4, InnerMap: inner})
	value := binary.NativeEndian.AppendUint32(nil, uint32(inner.FD()))
	for i := range uint32(2) {
		if err := outer.UpdateElem(bpf.IndexKey(nil, i), value, bpf.Any); err != nil {
			t.Fatal(err)
		}
	}
	reader(t, "outer_reader", outer)
	s := look(t)
	if programs, others := using(t, s, innerID); len(programs) != 0 || others != 2 {
		t.Errorf("the inner map is used by %v and %d others, want two places in another map", programs, others)
	}
	if programs, others := using(t, s, outerID); len(programs) != 1 || others != 0 {
		t.Errorf("the outer map is used by %v and %d others, want a program", programs, others)
	}
	byIDs, err := lookByIDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, others := using(t, byIDs, innerID); others != -1 {
		t.Errorf("from id to id the inner map is held by %d others, want -1", others)
	}
}

// TestManyMaps reads a program with as many maps as the kernel admits.
func TestManyMaps(t *testing.T) {
	var maps []*bpf.Map
	var ids []uint32
	for range maxUsedMaps {
		m, mapID := create(t, table)
		maps, ids = append(maps, m), append(ids, mapID)
	}
	p := reader(t, "many", maps...)
	s := look(t)
	i := slices.IndexFunc(s.Programs, func(x bpf.ProgramInfo) bool { return x.ID == id(t, p) })
	if got := s.Programs[i].Maps; !slices.Equal(got, ids) {
		t.Errorf("maps %v, want %v", got, ids)
	}
}

// TestCapabilities is what can tell with which capabilities; the table in the documentation says the same.
func TestCapabilities(t *testing.T) {
	m, mapID := create(t, table)
	reader(t, "one", m)
	agent := []sys.Capability{sys.CapBPF, sys.CapChown, sys.CapDACOverride}
	for _, c := range []struct {
		name           string
		have           []sys.Capability
		iterate, byIDs string // what is missing; empty if nothing is
	}{
		{"none", nil, "CAP_BPF", "CAP_SYS_ADMIN"},
		{"those of the agent", agent, "CAP_PERFMON", "CAP_SYS_ADMIN"},
		{"PERFMON alone", []sys.Capability{sys.CapPerfmon}, "CAP_BPF", "CAP_SYS_ADMIN"},
		{"the agent's with PERFMON", append(slices.Clone(agent), sys.CapPerfmon), "", "CAP_SYS_ADMIN"},
		{"SYS_ADMIN alone", []sys.Capability{sys.CapSysAdmin}, "", ""},
	} {
		bpftest.WithCapabilities(t, c.have, func() {
			s, err := Look(t.Context())
			wantMissing(t, c.name, err, c.iterate)
			if err == nil {
				if programs, _ := using(t, s, mapID); len(programs) != 1 {
					t.Errorf("%s: used by %v", c.name, programs)
				}
			}
			_, err = lookByIDs(t.Context())
			wantMissing(t, c.name, err, c.byIDs)
			for what, err := range withoutHelp(m) {
				if want := c.iterate != ""; (err != nil) != want {
					t.Errorf("%s: %s: %v, want an error: %t", c.name, what, err, want)
				}
			}
		})
	}
}

// withoutHelp are the other ways to a map's references: a program that reads the field of the kernel's struct by the
// verifier's types needs the same capabilities.
func withoutHelp(m *bpf.Map) map[string]error {
	layout, err := kernelLayout()
	if err != nil {
		return map[string]error{"layout": err}
	}
	packed, err := pack(asm.Instructions{
		asm.LoadMapPtr(asm.R1, m.FD()), asm.LoadMem(asm.R0, asm.R1, int16(layout.bpfMap["refcnt"]), asm.DWord), asm.Return(),
	})
	if err == nil {
		var fd *sys.FD
		if fd, err = sys.LoadProgram(sys.ProgTypeSocketFilter, packed, "GPL", "references", nil); err == nil {
			err = fd.Close()
		}
	}
	return map[string]error{"a filter that reads bpf_map.refcnt": err}
}

func wantMissing(t *testing.T, who string, err error, capability string) {
	t.Helper()
	switch {
	case capability == "" && err != nil:
		t.Errorf("%s: %v", who, err)
	case capability != "" && (!errors.Is(err, bpf.ErrNotPermitted) || !strings.Contains(err.Error(), "missing "+capability)):
		t.Errorf("%s: %v, want one that misses %s", who, err, capability)
	}
}

// TestNoIterators goes from id to id where the kernel doesn't take iterators.
func TestNoIterators(t *testing.T) {
	refuse := func(c sys.Cmd) unix.Errno {
		if c == sys.LinkCreate {
			return unix.EINVAL
		}
		return 0
	}
	sys.Intercept.Store(&refuse)
	defer sys.Intercept.Store(nil)
	m, mapID := create(t, table)
	p := reader(t, "one", m)
	s, err := Look(t.Context()) // what holds maps isn't asked: by ids, it can't be told while there are maps of maps
	if err != nil {
		t.Fatal(err)
	}
	if programs, _ := using(t, s, mapID); !slices.Equal(programs, []uint32{id(t, p)}) {
		t.Errorf("used by %v, want %d", programs, id(t, p))
	}
}

// TestWhileProgramsComeAndGo sees the program that stays in each look. Those that pass keep their references until
// some time after they are gone, so who holds the map can't be told apart meanwhile.
func TestWhileProgramsComeAndGo(t *testing.T) {
	m, mapID := create(t, table)
	stays := id(t, reader(t, "stays", m))
	done := make(chan struct{})
	var others sync.WaitGroup
	for range 2 {
		others.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					if p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
						Name: "passes", Type: ebpf.SocketFilter, License: "GPL",
						Instructions: asm.Instructions{asm.LoadMapPtr(asm.R0, m.FD()), asm.Mov.Imm(asm.R0, 0), asm.Return()},
					}); err != nil {
						t.Error(err)
						return
					} else if err := p.Close(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for range 200 {
		s := look(t)
		programs, _ := using(t, s, mapID)
		if !slices.Contains(programs, stays) {
			t.Errorf("program %d isn't among %v", stays, programs)
		}
		if !slices.IsSortedFunc(s.Programs, func(a, b bpf.ProgramInfo) int { return int(a.ID) - int(b.ID) }) {
			t.Error("the programs aren't sorted by id")
		}
	}
	close(done)
	others.Wait()
}

// cpuTime is what this process has taken of a CPU, in system calls, too: the machine may be busy.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLook is one look at 1,000 programs and 1,000 maps.
func BenchmarkLook(b *testing.B) {
	for range 1000 {
		m, _ := create(b, table)
		reader(b, "one", m)
	}
	for _, way := range ways {
		b.Run(way.name, func(b *testing.B) {
			before := cpuTime(b)
			for b.Loop() {
				if _, err := way.look(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}
