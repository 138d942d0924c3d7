// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package users

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// Map is a map of the kernel.
type Map struct {
	ID, Type                       uint32
	Name                           string
	KeySize, ValueSize, MaxEntries uint32
	// Held is how many references of the kernel itself there are: one of each program that uses the map, and one of
	// each place in a map of maps that it has. -1 if the kernel wasn't asked.
	Held int
}

// Snapshot is what was found at about one time.
type Snapshot struct {
	// Programs are the loaded programs, sorted by id.
	Programs []bpf.ProgramInfo
	// Maps are the kernel's maps, sorted by id.
	Maps []Map
}

// errNoIterators says that this kernel's iterators can't be used.
var errNoIterators = errors.New("no BPF iterators")

// Look is a Snapshot of now. It needs CAP_BPF with CAP_PERFMON (Linux 5.9 with BTF), or CAP_SYS_ADMIN; without,
// it is bpf.ErrNotPermitted. What comes and goes while it looks may be in it or not. A program that was unloaded
// keeps its references until the kernel frees it, some time later.
func Look(ctx context.Context) (*Snapshot, error) {
	its, err := load()
	switch {
	case errors.Is(err, errNoIterators):
		s, idErr := lookByIDs(ctx)
		if idErr != nil && errors.Is(err, bpf.ErrMemlockLimit) {
			return nil, errors.Join(idErr, err) // either way is barred, and this one can be mended, too
		}
		return s, idErr
	case err != nil:
		return nil, err
	}
	s, err := its.look(ctx)
	if err := errors.Join(err, its.close()); err != nil {
		return nil, err
	}
	return s, nil
}

// iterators are links of our programs. They are loaded for one look: that takes a few milliseconds, and nothing
// stays in the kernel.
type iterators struct{ programs, maps *sys.FD }

// load is errNoIterators if this kernel doesn't take them.
func load() (*iterators, error) {
	// Before the kernel's BTF is read, which takes long and is for nothing without.
	if err := mayIterate(); err != nil {
		return nil, err
	}
	layout, err := kernelLayout()
	if err != nil {
		return nil, errors.Join(errNoIterators, err)
	}
	its := &iterators{}
	if its.programs, err = loadOne(programsName, layout.eachProgramProgram(), layout.eachProgram); err == nil {
		its.maps, err = loadOne(mapsName, layout.eachMapProgram(), layout.eachMap)
	}
	if err == nil {
		return its, nil
	}
	if refused := sys.IsPermission(err) || sys.IsInvalid(err) || sys.IsNotSupp(err); refused {
		err = errors.Join(errNoIterators, err) // though this process may: lockdown=confidentiality, for example
	}
	return nil, errors.Join(err, its.close())
}

func (its *iterators) close() (err error) {
	for _, link := range []*sys.FD{its.programs, its.maps} {
		if link != nil {
			err = errors.Join(err, link.Close())
		}
	}
	return err
}

// The names of our programs.
const (
	programsName = "bpfmap_programs"
	mapsName     = "bpfmap_maps"
)

// own are the names of all programs that this project loads for a moment.
var own = []string{programsName, mapsName, "bpfmap_count", "bpfmap_store"}

// IsOwn says of a program that it is one of those that this project loads for a moment: it may hold a map, and doesn't
// use it.
func IsOwn(p *bpf.ProgramInfo) bool { return slices.Contains(own, p.Name) }

func loadOne(name string, insns asm.Instructions, at btf.TypeID) (*sys.FD, error) {
	packed, err := pack(insns)
	if err != nil {
		return nil, err
	}
	link, err := sys.LoadIterator(packed, "Dual BSD/GPL", name, uint32(at), nil)
	if err != nil {
		hint, kind := bpf.LoadRefused(err, needed...)
		return nil, &bpf.Error{Op: "load iterator " + name, Kind: kind, Hint: hint, Err: err}
	}
	return link, nil
}

// needed are the capabilities that loading an iterator takes.
var needed = []sys.Capability{sys.CapBPF, sys.CapPerfmon}

// mayIterate is ErrNotPermitted for a process that may neither load iterators nor go from id to id.
func mayIterate() error {
	for _, c := range needed {
		if has, err := sys.HasCapability(c); err != nil {
			return fmt.Errorf("read own capabilities: %w", err)
		} else if !has {
			return &bpf.Error{
				Op: "look at all programs and maps", Kind: bpf.ErrNotPermitted,
				Hint: "missing " + c.String() + ": CAP_BPF with CAP_PERFMON, or CAP_SYS_ADMIN is needed",
			}
		}
	}
	return nil
}

// maxRecords bounds what one look reads of each kind.
const maxRecords = 1 << 17

// look reads programs before and after maps, and keeps those that were there at both times: what holds a map
// besides them are other maps, and not a program that was just being loaded or unloaded.
func (its *iterators) look(ctx context.Context) (*Snapshot, error) {
	for try := 0; ; try++ {
		before, err := its.readPrograms(ctx)
		if err != nil {
			return nil, err
		}
		maps, err := its.readMaps(ctx)
		if err != nil {
			return nil, err
		}
		s := &Snapshot{Programs: before, Maps: maps}
		if !s.hasHolders() {
			return s, nil
		}
		after, err := its.readPrograms(ctx)
		if err != nil {
			return nil, err
		}
		if sameIDs(before, after) {
			return s, nil
		}
		if try == maxTries {
			s.Programs = after
			for i := range s.Maps {
				s.Maps[i].Held = -1 // programs come and go too fast to tell
			}
			return s, nil
		}
	}
}

// maxTries bounds how often a look starts over because programs came or went.
const maxTries = 3

// hasHolders says whether a map is held by more than the programs that use it.
func (s *Snapshot) hasHolders() bool {
	users := map[uint32]int{}
	for i := range s.Programs {
		for _, id := range s.Programs[i].Maps {
			users[id]++
		}
	}
	for i := range s.Maps {
		if s.Maps[i].Held > users[s.Maps[i].ID] {
			return true
		}
	}
	return false
}

func sameIDs(a, b []bpf.ProgramInfo) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].ID != b[i].ID {
			return false
		}
	}
	return true
}

func (its *iterators) readPrograms(ctx context.Context) ([]bpf.ProgramInfo, error) {
	b, err := readAll(ctx, its.programs, "programs", programRecord)
	if err != nil {
		return nil, err
	}
	order := binary.NativeEndian
	programs := make([]bpf.ProgramInfo, 0, len(b)/programRecord)
	for ; len(b) >= programRecord; b = b[programRecord:] {
		n := order.Uint32(b[8:])
		if n > maxUsedMaps {
			return nil, fmt.Errorf("program %d uses %d maps, at most %d are expected", order.Uint32(b), n, maxUsedMaps)
		}
		p := bpf.ProgramInfo{ID: order.Uint32(b), Type: order.Uint32(b[4:]), Tag: [8]byte(b[16:24]), Name: text(b[24:40])}
		for i := range int(n) {
			p.Maps = append(p.Maps, order.Uint32(b[programMaps+4*i:]))
		}
		programs = append(programs, p)
	}
	return programs, nil
}

func (its *iterators) readMaps(ctx context.Context) ([]Map, error) {
	b, err := readAll(ctx, its.maps, "maps", mapRecord)
	if err != nil {
		return nil, err
	}
	order := binary.NativeEndian
	maps := make([]Map, 0, len(b)/mapRecord)
	for ; len(b) >= mapRecord; b = b[mapRecord:] {
		all, ofUsers := int64(order.Uint64(b[24:])), int64(order.Uint64(b[32:]))
		maps = append(maps, Map{
			ID: order.Uint32(b), Type: order.Uint32(b[4:]), KeySize: order.Uint32(b[8:]), ValueSize: order.Uint32(b[12:]),
			MaxEntries: order.Uint32(b[16:]), Name: text(b[40:56]),
			Held: int(max(0, all-ofUsers-1)), // one is of the iterator itself
		})
	}
	return maps, nil
}

func readAll(ctx context.Context, link *sys.FD, what string, record int) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b, err := link.ReadIterator(nil, maxRecords*record)
	if err != nil {
		return nil, &bpf.Error{Op: "iterate over " + what, Err: err}
	}
	return b, nil
}

func text(b []byte) string {
	before, _, _ := bytes.Cut(b, []byte{0})
	return string(before)
}
