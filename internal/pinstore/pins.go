// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinstore

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Pins calls yield for every map that is pinned in the directories of namespaces, managed or not, and
// closes it afterwards. What is not a map, can't be opened, or is removed meanwhile is passed over.
func (s *Store) Pins(yield func(namespace string, m *bpf.Map) error) error {
	namespaces, err := s.list(revision.PinRoot)
	if err != nil {
		return err
	}
	for _, namespace := range namespaces {
		if strings.HasPrefix(namespace, "_") {
			continue // our state
		}
		visit := func(m *bpf.Map) error { return yield(namespace, m) }
		if err := s.pinsBelow(path.Join(revision.PinRoot, namespace), visit); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) pinsBelow(rel string, visit func(*bpf.Map) error) error {
	names, err := s.list(rel)
	if err != nil {
		return err
	}
	var inner []string
	err = s.in(path.Join(rel, "pin"), func(d *bpf.Dir, _ string) error {
		for _, name := range names {
			if st, err := d.Lstat(name); err == nil && st.IsDir() {
				inner = append(inner, path.Join(rel, name))
				continue
			}
			m, err := d.Map(name, bpf.RdOnly)
			if err != nil {
				continue
			}
			if err := errors.Join(visit(m), m.Close()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrOccupied) {
		return err
	}
	for _, dir := range inner {
		if err := s.pinsBelow(dir, visit); err != nil {
			return err
		}
	}
	return nil
}
