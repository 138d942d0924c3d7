// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpfobject

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/internal/mapdef"
)

// The errors of objects without anything to read.
var (
	ErrNoELF  = errors.New("not an ELF file: a BPF object is what clang -target bpf -c writes")
	ErrNoBTF  = errors.New("has no BTF, which says what types its maps have: compile it with clang -g")
	ErrNoMaps = errors.New("defines no maps: neither in the section .maps, nor by global variables")
	ErrLegacy = errors.New("defines maps in the section \"maps\", as struct bpf_map_def, which holds no types and " +
		"which libbpf 1.0 no longer loads: define them in the section \".maps\"")
)

// Map is one map of a program.
type Map struct {
	mapdef.Definition
	// PinByName says that loaders pin the map by its name (LIBBPF_PIN_BY_NAME).
	PinByName bool
	// Contents are the bytes of a section of variables; nil for other maps, and if they are all zeros.
	Contents []byte
	// Section says that the map is a section of global variables.
	Section bool
	// Slots are what the source puts into a map of maps or of programs.
	Slots []Slot
	// Skipped is why the map can't be declared at all, although its definition is sound; empty if it can.
	Skipped string
}

// Slot is an element that the source gives: the map or program at an index.
type Slot struct {
	Index  uint32
	Symbol string
}

// Read reads the maps of an object, in the order of their definitions, and then its sections of variables. What
// is wrong with one map is an error that begins with its name.
func Read(r io.ReaderAt) (maps []Map, err error) {
	defer func() {
		// debug/elf isn't made for files that were tampered with.
		if p := recover(); p != nil {
			maps, err = nil, fmt.Errorf("read ELF: %v", p)
		}
	}()
	o, err := open(r)
	if err != nil {
		return nil, err
	}
	maps, err = o.definitions()
	if err != nil {
		return nil, err
	}
	sections, err := o.variables()
	if err != nil {
		return nil, err
	}
	maps = append(maps, sections...)
	if len(maps) == 0 {
		return nil, ErrNoMaps
	}
	return maps, nil
}

// object is an open object.
type object struct {
	file    *elf.File
	symbols []elf.Symbol
	types   *btf.Spec
}

func open(r io.ReaderAt) (*object, error) {
	magic := make([]byte, len(elf.ELFMAG))
	if n, _ := r.ReadAt(magic, 0); n < len(magic) || string(magic) != elf.ELFMAG { // any failure is no ELF file
		return nil, ErrNoELF
	}
	file, err := elf.NewFile(r)
	if err != nil {
		return nil, fmt.Errorf("read ELF (is the file truncated?): %w", err)
	}
	if err := check(file); err != nil {
		return nil, err
	}
	symbols, err := file.Symbols()
	if err != nil {
		return nil, fmt.Errorf("read the table of symbols (is the object stripped?): %w", err)
	}
	o := &object{file: file, symbols: symbols}
	if slices.ContainsFunc(file.Sections, func(s *elf.Section) bool { return s.Name == "maps" || strings.HasPrefix(s.Name, "maps/") }) {
		return nil, ErrLegacy
	}
	if o.types, err = btf.LoadSpecFromReader(r); err != nil {
		if errors.Is(err, btf.ErrNotFound) {
			return nil, ErrNoBTF
		}
		return nil, fmt.Errorf("read BTF: %w", err)
	}
	return o, nil
}

// check refuses what isn't a BPF object of this machine's byte order.
func check(file *elf.File) error {
	// Old compilers wrote no machine.
	if file.Machine != elf.EM_BPF && file.Machine != elf.EM_NONE {
		return fmt.Errorf("is an ELF file for %s, not for BPF: a BPF object is what clang -target bpf -c writes", file.Machine)
	}
	native := binary.NativeEndian.Uint16([]byte{0, 1}) == file.ByteOrder.Uint16([]byte{0, 1})
	if !native {
		return errors.New("has the other byte order than this machine: compile it with clang -target bpf")
	}
	return nil
}

// section is the section of a name; nil if there is none.
func (o *object) section(name string) (elf.SectionIndex, *elf.Section) {
	for i, s := range o.file.Sections {
		if s.Name == name {
			return elf.SectionIndex(i), s
		}
	}
	return 0, nil
}

// maxSection is how many bytes of a section are read: more than the value of an array can have (Linux 6.18, 2 GiB less a
// page), in a file that says so in a few bytes.
const maxSection = 1<<31 - 1

// data is what a section holds. It is all zeros if the file doesn't say.
func data(s *elf.Section) ([]byte, error) {
	if s.Size > maxSection {
		return nil, fmt.Errorf("section %s has %d bytes, more than %d", s.Name, s.Size, maxSection)
	}
	if s.Type == elf.SHT_NOBITS {
		return make([]byte, s.Size), nil
	}
	b, err := s.Data()
	if err != nil {
		return nil, fmt.Errorf("read section %s (is the file truncated?): %w", s.Name, err)
	}
	return b, nil
}

func isZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
