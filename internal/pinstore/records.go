// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
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
	if err := s.makeDirs(state(r.Key, ""), stateDirMode); err != nil {
		return err
	}
	m, err := bpf.Create(bpf.CreateOpts{
		Type: bpf.Array, Name: recordName, KeySize: 4, ValueSize: uint32(len(text)), MaxEntries: 1,
	})
	if err != nil {
		return err
	}
	return errors.Join(s.pinRecord(r.Key, m, text), m.Close())
}

func (s *Store) pinRecord(key revision.Key, m *bpf.Map, text []byte) error {
	if err := m.UpdateElem(bpf.IndexKey(nil, 0), text, bpf.Any); err != nil {
		return err
	}
	if err := m.Freeze(); err != nil {
		return err
	}
	draft := s.Path(state(key, nameDraft))
	if err := s.step("remove stale record", func() error { return removeIfThere(draft) }); err != nil {
		return err
	}
	if err := s.step("pin record aside", func() error { return m.Pin(draft) }); err != nil {
		return err
	}
	return s.step("rename to record", func() error {
		return bpf.RenamePin(draft, s.Path(state(key, nameRecord)), true)
	})
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

func (s *Store) readRecord(rel string) (*record.Record, error) {
	m, err := s.Pinned(rel)
	if m == nil || err != nil {
		return nil, err
	}
	text := []byte(nil)
	if m.Type() == bpf.Array && m.MaxEntries() == 1 {
		text = make([]byte, m.ValueStride())
		err = m.LookupElem(bpf.IndexKey(nil, 0), text)
	}
	if err := errors.Join(err, m.Close()); err != nil {
		return nil, fmt.Errorf("read record: %w", err)
	}
	r, err := record.Decode(text)
	if err != nil {
		return nil, nil //nolint:nilerr // what can't be believed counts as absent: the kernel's state decides
	}
	return r, nil
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
	entries, err := os.ReadDir(s.Path(rel))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list records: %w", err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Forget removes the state of a map. The record goes last: while it is there, somebody knows that
// there is something to remove.
func (s *Store) Forget(key revision.Key) error {
	for _, name := range []string{nameNext, nameKept, nameDraft, nameRecord} {
		path := s.Path(state(key, name))
		if err := s.step("remove state", func() error { return removeIfThere(path) }); err != nil {
			return err
		}
	}
	s.removeEmpty(state(key, ""))
	return nil
}
