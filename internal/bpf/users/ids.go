// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package users

import (
	"context"
	"errors"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// lookByIDs goes from id to id, which takes several system calls for each program and map and needs CAP_SYS_ADMIN.
// What maps of maps hold isn't to be seen in this way: where there are any, it isn't known.
func lookByIDs(ctx context.Context) (*Snapshot, error) {
	s := &Snapshot{}
	users := map[uint32]int{}
	for p, err := range bpf.Programs(0) {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return nil, err
		}
		s.Programs = append(s.Programs, p)
		for _, id := range p.Maps {
			users[id]++
		}
	}
	ofMaps := false
	for m, err := range bpf.Maps() {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return nil, err
		}
		info, err := m.Info()
		if err = errors.Join(err, m.Close()); err != nil {
			return nil, err
		}
		ofMaps = ofMaps || info.Type == bpf.ArrayOfMaps || info.Type == bpf.HashOfMaps
		s.Maps = append(s.Maps, Map{
			ID: info.ID, Type: uint32(info.Type), Name: info.Name, KeySize: info.KeySize, ValueSize: info.ValueSize,
			MaxEntries: info.MaxEntries, Held: users[info.ID],
		})
	}
	for i := range s.Maps {
		if ofMaps {
			s.Maps[i].Held = -1
		}
	}
	return s, nil
}
