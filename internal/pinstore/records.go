// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinstore

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/record"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// recordName is what the kernel calls the maps that hold records.
const recordName = "bpfmap_record"

// SaveRecord replaces the record of r.Key. A record is the one element of a frozen array: the BPF file
// system has no plain files.
func (s *Store) SaveRecord(r *record.Record) error {
	text, err := record.Encode(r)
	if err != nil {
		return err
	}
	own, err := s.makeDirs(state(r.Key, ""), stateDirMode)
	if err != nil {
		return err
	}
	defer own.Close() // nothing is written through it
	m, err := bpf.Create(bpf.CreateOpts{
		Type: bpf.Array, Name: recordName, KeySize: 4, ValueSize: uint32(len(text)), MaxEntries: 1,
	})
	if err != nil {
		return err
	}
	return errors.Join(s.pinRecord(own, m, text), m.Close())
}

func (s *Store) pinRecord(own *bpf.Dir, m *bpf.Map, text []byte) error {
	if err := m.UpdateElem(bpf.IndexKey(nil, 0), text, bpf.Any); err != nil {
		return err
	}
	if err := m.Freeze(); err != nil {
		return err
	}
	if err := s.step("remove stale record", func() error { return removeIfThere(own, nameDraft) }); err != nil {
		return err
	}
	if err := s.step("pin record aside", func() error { return own.Pin(m, nameDraft) }); err != nil {
		return err
	}
	return s.step("rename to record", func() error { return own.Rename(nameDraft, own, nameRecord, true) })
}

// LoadRecord is the record of a map, nil if there is none or if it can't be believed: one that was cut
// short, or that speaks of another map.
func (s *Store) LoadRecord(key revision.Key) (*record.Record, error) {
	r, err := s.readRecord(state(key, nameRecord))
	if err != nil || r == nil || r.Key != key {
		return nil, err
	}
	return r, nil
}

// readRecord reads the record at rel, nil if what is there can't be one: records are frozen arrays of one
// element, and only we write where they are.
func (s *Store) readRecord(rel string) (*record.Record, error) {
	m, err := s.Pinned(rel)
	if errors.Is(err, ErrOccupied) {
		return nil, nil // something that is no map
	}
	if m == nil || err != nil {
		return nil, err
	}
	text, err := readText(m)
	if err := errors.Join(err, m.Close()); err != nil {
		return nil, fmt.Errorf("read record: %w", err)
	}
	r, err := record.Decode(text)
	if err != nil {
		return nil, nil //nolint:nilerr // what can't be believed counts as absent: the kernel's state decides
	}
	return r, nil
}

func readText(m *bpf.Map) ([]byte, error) {
	if m.Type() != bpf.Array || m.MaxEntries() != 1 {
		return nil, nil
	}
	info, err := m.FDInfo()
	if err != nil || !info.Frozen {
		return nil, err
	}
	text := make([]byte, m.ValueStride())
	return text, m.LookupElem(bpf.IndexKey(nil, 0), text)
}

// Records are all records that can be believed, sorted by namespace and name.
func (s *Store) Records() ([]record.Record, error) {
	var all []record.Record
	namespaces, err := s.list(stateDir)
	if err != nil {
		return nil, err
	}
	for _, namespace := range namespaces {
		names, err := s.list(path.Join(stateDir, namespace))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			rel := path.Join(stateDir, namespace, name)
			r, err := s.readRecord(path.Join(rel, nameRecord))
			if err != nil {
				return nil, err
			}
			if r != nil && state(r.Key, "") == rel {
				all = append(all, *r)
			}
		}
	}
	slices.SortFunc(all, func(a, b record.Record) int { return strings.Compare(a.Key.String(), b.Key.String()) })
	return all, nil
}

// list are the names in a directory, none if it isn't there.
func (s *Store) list(rel string) ([]string, error) {
	d, err := s.dir(rel)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrOccupied) && rel != stateDir {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list records: %w", err)
	}
	names, err := d.Names()
	if err := errors.Join(err, d.Close()); err != nil {
		return nil, fmt.Errorf("list records: %w", err)
	}
	return names, nil
}

// Forget removes the state of a map. The record goes last: while it is there, somebody knows that
// there is something to remove.
func (s *Store) Forget(key revision.Key) error {
	own, err := s.dir(state(key, ""))
	if errors.Is(err, fs.ErrNotExist) {
		s.removeEmpty(state(key, "")) // a crash may have left the directories above it
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range []string{nameNext, nameKept, nameDraft, nameRecord} {
		if err := s.step("remove state", func() error { return removeIfThere(own, name) }); err != nil {
			return errors.Join(err, own.Close())
		}
	}
	if err := own.Close(); err != nil {
		return err
	}
	s.removeEmpty(state(key, ""))
	return nil
}
