// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// recordName is what the kernel calls the maps that hold records.
const recordName = "bpfmap_record"

// maxRecord bounds what is read as a record: one of version 1 holds all keys.
const maxRecord = ownership.MaxBaseBytes + ownership.MaxTextBytes

// SaveRecord replaces the record of r.Key, which is the one element of a frozen array: the BPF file system
// has no plain files. What the record claims is claimed before, and what it doesn't claim or name any more
// is removed after. A claim of another BPFMap's record is ErrOccupied.
func (s *Store) SaveRecord(ctx context.Context, r *ownership.Record) error {
	text, err := ownership.Encode(r)
	if err != nil {
		return err
	}
	own, err := s.makeDirs(state(r.Key, ""), stateDirMode)
	if err != nil {
		return err
	}
	defer own.Close() // nothing is written through it
	m, err := recordMap(text)
	if err != nil {
		return err
	}
	if err := errors.Join(s.pinAside(own, m, nameDraft), m.Close()); err != nil {
		return err
	}
	names, err := own.Names()
	if err != nil {
		return err
	}
	err = s.withClaims(ctx, func(owners *bpf.Dir) error {
		claims := claimsOf(r)
		if err := s.claim(owners, own, r.Key, names, claims); err != nil {
			return err
		}
		if err := s.step("rename to record", func() error { return own.Rename(nameDraft, own, nameRecord, true) }); err != nil {
			return err
		}
		return s.disclaim(owners, own, r.Key, names, claims)
	})
	if err != nil {
		if errors.Is(err, ErrOccupied) {
			err = errors.Join(err, removeIfThere(own, nameDraft)) // it will never be the record
		}
		return err
	}
	return s.dropKeys(own, names, r)
}

// recordMap is a frozen map with a record.
func recordMap(text []byte) (*bpf.Map, error) {
	m, err := bpf.Create(bpf.CreateOpts{
		Type: bpf.Array, Name: recordName, KeySize: 4, ValueSize: uint32(len(text)), MaxEntries: 1,
	})
	if err != nil {
		return nil, err
	}
	err = m.UpdateElem(bpf.IndexKey(nil, 0), text, bpf.Any)
	if err == nil {
		err = m.Freeze()
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// pinComplete gives a map its name in our state, in place of what has it.
func (s *Store) pinComplete(own *bpf.Dir, m *bpf.Map, draft, name string) error {
	if err := s.pinAside(own, m, draft); err != nil {
		return err
	}
	return s.step("rename to "+name, func() error { return own.Rename(draft, own, name, true) })
}

// LoadRecord is the record of a map, nil if there is none or if it can't be believed: one that was cut
// short, or that speaks of another map.
func (s *Store) LoadRecord(key revision.Key) (*ownership.Record, error) {
	r, err := s.readRecord(state(key, nameRecord))
	if err != nil || r == nil || r.Key != key {
		return nil, err
	}
	return r, nil
}

// readRecord reads the record at rel, nil if what is there can't be one: records are frozen arrays of one
// element, and only their owner can write where they are.
func (s *Store) readRecord(rel string) (*ownership.Record, error) {
	m, err := s.Pinned(rel)
	if errors.Is(err, ErrOccupied) {
		return nil, nil // something that is not a map
	}
	if m == nil || err != nil {
		return nil, err
	}
	text, err := readText(m)
	if err := errors.Join(err, m.Close()); err != nil {
		return nil, fmt.Errorf("read record: %w", err)
	}
	r, err := ownership.Decode(text)
	if err != nil {
		return nil, nil //nolint:nilerr // what can't be believed counts as absent: the kernel's state decides
	}
	return r, nil
}

func readText(m *bpf.Map) ([]byte, error) {
	if m.Type() != bpf.Array || m.MaxEntries() != 1 || m.ValueStride() > maxRecord {
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
func (s *Store) Records() ([]ownership.Record, error) {
	var all []ownership.Record
	namespaces, err := s.list(stateDir)
	if err != nil {
		return nil, err
	}
	for _, namespace := range namespaces {
		if strings.HasPrefix(namespace, "_") {
			continue // the index
		}
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
	slices.SortFunc(all, func(a, b ownership.Record) int { return strings.Compare(a.Key.String(), b.Key.String()) })
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

// Forget removes the state of a map. The record goes after the pins: while it is there, something is known
// to be left. Claims go last, since a record without them could be taken for nobody's.
func (s *Store) Forget(ctx context.Context, key revision.Key) error {
	own, err := s.dir(state(key, ""))
	if errors.Is(err, fs.ErrNotExist) {
		s.removeEmpty(state(key, "")) // a crash may have left the directories above it
		return nil
	}
	if err != nil {
		return err
	}
	if err := errors.Join(s.forget(ctx, own, key), own.Close()); err != nil {
		return err
	}
	s.tidyLeft()
	s.removeEmpty(state(key, ""))
	return nil
}

func (s *Store) forget(ctx context.Context, own *bpf.Dir, key revision.Key) error {
	if err := s.recoverExchange(own); err != nil && !errors.Is(err, ErrOccupied) {
		return err // ErrOccupied: what could not go back to its place was replaced there by a stranger's map
	}
	names, err := own.Names()
	if err != nil {
		return err
	}
	r, err := s.LoadRecord(key)
	if err == nil {
		err = s.noteLeft(r)
	}
	if err != nil {
		return err
	}
	remove := []string{nameNext, nameNote, nameKeepAlive, nameDraft}
	for _, name := range names {
		if strings.HasPrefix(name, prefixKeys) {
			remove = append(remove, name)
		}
	}
	for _, name := range append(remove, nameRecord) {
		if err := s.step("remove state", func() error { return removeIfThere(own, name) }); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(names, isClaim) {
		return nil
	}
	return s.withClaims(ctx, func(owners *bpf.Dir) error { return s.disclaim(owners, own, key, names, nil) })
}
