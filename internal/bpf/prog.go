// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"iter"
	"math"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// Program is a handle on a loaded program, which maps may hold. It owns a file descriptor.
type Program struct {
	fd   *sys.FD
	info ProgramInfo
}

// ProgramInfo describes a program (struct bpf_prog_info).
type ProgramInfo struct {
	ID uint32
	// Type is enum bpf_prog_type.
	Type uint32
	// Name is the function's, at most 15 characters; it may be empty.
	Name string
	// Tag is a digest of its instructions, as bpftool prints it.
	Tag [8]byte
	// Maps are the ids of the maps that the program uses.
	Maps []uint32
}

// String is "xdp_drop (id 12)".
func (i ProgramInfo) String() string {
	id := idName(i.ID)
	if i.Name == "" {
		return "program " + id
	}
	return i.Name + " (" + id + ")"
}

// GetPinnedProgram is bpf_obj_get of a program. Errors: ErrNotExist; ErrNotPermitted by the pin's mode;
// ErrNotProgram for a pin of anything else.
func GetPinnedProgram(path string) (*Program, error) { return getPinnedProgram(path, path) }

// getPinnedProgram opens the program at path, which errors call shown.
func getPinnedProgram(path, shown string) (*Program, error) {
	fd, err := openPin(path, shown, 0, "anon_inode:bpf-prog", ErrNotProgram)
	if err != nil {
		return nil, err
	}
	return program(fd)
}

// program makes a handle. It takes fd over, also on failure.
func program(fd *sys.FD) (*Program, error) {
	raw, err := fd.ProgInfo(nil)
	if err != nil {
		return nil, closing(fd, &Error{Op: "get info of program", Err: err})
	}
	p := &Program{fd: fd, info: ProgramInfo{ID: raw.ID, Type: raw.Type, Name: cString(raw.Name[:]), Tag: raw.Tag}}
	if raw.NrMapIDs > 0 {
		ids := make([]uint32, raw.NrMapIDs)
		if raw, err = fd.ProgInfo(ids); err != nil {
			return nil, closing(fd, &Error{Op: "get maps of program", Err: err})
		}
		p.info.Maps = ids[:min(int(raw.NrMapIDs), len(ids))]
	}
	return p, nil
}

// Info is the program's description as of when the handle was made.
func (p *Program) Info() ProgramInfo { return p.info }

// FD is the file descriptor while p is open; -1 afterwards.
func (p *Program) FD() int { return p.fd.Raw() }

// Close closes the handle.
func (p *Program) Close() error { return p.fd.Close() }

// Programs are the loaded programs with ids above after, in the order of their ids. It needs CAP_SYS_ADMIN
// (Linux 4.13); ErrNotPermitted without. Programs that vanish meanwhile are passed over. After an error
// nothing more comes.
func Programs(after uint32) iter.Seq2[ProgramInfo, error] {
	return func(yield func(ProgramInfo, error) bool) {
		for id := after; id < math.MaxInt32; { // ids end there, and the kernel says EINVAL
			next, err := sys.NextProgID(id)
			if sys.IsNotExist(err) {
				return
			}
			if err != nil {
				yield(ProgramInfo{}, idError("get next program id", "", err))
				return
			}
			id = next
			info, err := programByID(id)
			if errors.Is(err, ErrNotExist) {
				continue
			}
			if !yield(info, err) || err != nil {
				return
			}
		}
	}
}

// programByID looks at a loaded program.
func programByID(id uint32) (ProgramInfo, error) {
	fd, err := sys.ProgByID(id)
	if err != nil {
		return ProgramInfo{}, idError("open program", idName(id), err)
	}
	p, err := program(fd)
	if err != nil {
		return ProgramInfo{}, err
	}
	return p.info, p.Close()
}
