// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package stores

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// arena is what programs work on: an array of one element with keys and values, and one with counters.
type arena struct {
	records0, counters *bpf.Map
	programs           []program
	// records is how many fit for each program.
	records int

	// The elements of the arrays, as they are written and read.
	buffer, counted []byte
	packet          []byte
}

// program is a code in the kernel.
type program struct {
	code
	fd *sys.FD
}

// The size of the array for keys and values, which is copied into the kernel as a whole: large enough to make
// the cost of the calls small, and small enough for a single element.
const (
	arenaBytes = 16 << 10
	maxRecords = 1024
	// maxArena bounds the array where a single record is larger: many CPUs.
	maxArena = 8 << 20
)

// packetBytes is more than any kernel wants of a packet that a program is run on.
const packetBytes = 64

// newArena makes the arrays for records of up to so many bytes, or for a single one.
func newArena(recordBytes int, single bool) (*arena, error) {
	size := max(arenaBytes, recordBytes)
	if single {
		size = recordBytes
	}
	if size > maxArena {
		return nil, fmt.Errorf("values of all CPUs take %d bytes, more than %d", recordBytes, maxArena)
	}
	a := &arena{
		records: min(maxRecords, size/recordBytes), buffer: make([]byte, size),
		counted: make([]byte, 4*nCounters), packet: make([]byte, packetBytes),
	}
	var err error
	if a.records0, err = bpf.Create(bpf.CreateOpts{Type: bpf.Array, Name: "bpfmap_records", KeySize: 4, ValueSize: uint32(size), MaxEntries: 1}); err != nil {
		return nil, err
	}
	if a.counters, err = bpf.Create(bpf.CreateOpts{Type: bpf.Array, Name: "bpfmap_counters", KeySize: 4, ValueSize: 4 * nCounters, MaxEntries: 1}); err != nil {
		return nil, errors.Join(err, a.records0.Close())
	}
	return a, nil
}

func (a *arena) close() error {
	errs := []error{a.records0.Close(), a.counters.Close()}
	for _, p := range a.programs {
		errs = append(errs, p.fd.Close())
	}
	a.programs = nil
	return errors.Join(errs...)
}

// load adds a program.
func (a *arena) load(m *bpf.Map, c code) error {
	c.mapFD, c.recordsFD, c.countersFD, c.records = m.FD(), a.records0.FD(), a.counters.FD(), a.records
	insns, err := pack(c.program())
	if err != nil {
		return err
	}
	typ := uint32(sys.ProgTypeSocketFilter)
	if c.lockAt >= 0 {
		typ = sys.ProgTypeCgroupSKB // a socket filter may not take locks
	}
	fd, err := loadProgram(m, typ, insns)
	if err != nil {
		return err
	}
	a.programs = append(a.programs, program{code: c, fd: fd})
	return nil
}

// put writes element j of packed ones to its record.
func (a *arena) put(p *program, j int, keys, values []byte) {
	record := a.buffer[j*p.recordBytes() : (j+1)*p.recordBytes()]
	copy(record, keys[j*p.keySize:(j+1)*p.keySize])
	stride := len(values) / (len(keys) / p.keySize)
	value := values[j*stride : (j+1)*stride]
	slot := stride / p.values()
	for cpu := range p.values() {
		copy(record[p.keyBytes()+cpu*p.valueBytes():], value[cpu*slot+p.from:cpu*slot+p.to])
	}
}

var zeroKey = make([]byte, 4)

// send hands the records to the kernel. What follows the first used bytes doesn't matter.
func (a *arena) send(used int) error {
	clear(a.buffer[used:min(len(a.buffer), used+8)])
	return a.records0.UpdateElem(zeroKey, a.buffer, bpf.Any)
}

// counters are the numbers of a run.
type counters [nCounters]uint32

// run runs a program on n records, and gives what it counted.
func (a *arena) run(p *program, n int) (c counters, err error) {
	clear(a.counted)
	values := n * p.values()
	binary.NativeEndian.PutUint32(a.counted[4*cEnd:], uint32(values))
	if err := a.counters.UpdateElem(zeroKey, a.counted, bpf.Any); err != nil {
		return c, err
	}
	// A signal ends a run before its time: counted on, it is taken up where it was.
	for done := 0; done < values; done = int(c[cNext]) {
		_, err := p.fd.RunProgram(a.packet, uint32(values-done))
		if err != nil && !sys.IsTransient(err) {
			return c, err
		}
		if err := a.counters.LookupElem(zeroKey, a.counted); err != nil {
			return c, err
		}
		for i := range c {
			c[i] = binary.NativeEndian.Uint32(a.counted[4*i:])
		}
		if int(c[cNext]) == done {
			return c, fmt.Errorf("the program doesn't run: %w", errors.Join(err, bpf.ErrNotSupported))
		}
	}
	return c, nil
}

// license is not of importance here: the programs call nothing that is for the GPL alone.
const license = "Dual BSD/GPL"

const maxLog = 16 << 10

// loadProgram loads a program that uses m. The error is a *bpf.Error.
func loadProgram(m *bpf.Map, typ uint32, insns []byte) (*sys.FD, error) {
	defer runtime.KeepAlive(m)
	fd, err := sys.LoadProgram(typ, insns, license, "bpfmap_store", nil)
	if err == nil {
		return fd, nil
	}
	e := &bpf.Error{Op: op, Map: m.Type().String(), Kind: bpf.ErrNotSupported, Err: err}
	if hint, kind := bpf.LoadRefused(err, sys.CapBPF); kind != nil {
		e.Kind, e.Hint = kind, hint
		return nil, e
	}
	log := make([]byte, maxLog)
	if fd, err := sys.LoadProgram(typ, insns, license, "bpfmap_store", log); err == nil {
		return fd, nil // it was taken the second time
	}
	e.Hint = sys.WhyRefused(log)
	return nil, e
}
