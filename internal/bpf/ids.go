// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"iter"
	"math"
	"strconv"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// GetNextID is bpf_map_get_next_id: the smallest id of a live map above start (0 to begin), of all
// maps of the kernel. It returns false at the end. It needs CAP_SYS_ADMIN (Linux 4.13).
func GetNextID(start uint32) (id uint32, ok bool, err error) {
	if start >= math.MaxInt32 {
		return 0, false, nil // ids end there, and the kernel says EINVAL
	}
	id, err = sys.NextMapID(start)
	switch {
	case err == nil:
		return id, true, nil
	case sys.IsNotExist(err):
		return 0, false, nil
	}
	return 0, false, idError("get next map id", "", err)
}

// OpenOpts are the options of GetFDByIDOpts.
type OpenOpts struct {
	// OpenFlags is RdOnly, WrOnly or neither.
	OpenFlags MapFlags
	// TokenFD is a BPF token's file descriptor (kernels that allow it here).
	TokenFD int32
}

// GetFDByID is bpf_map_get_fd_by_id: it opens a map by its id, for reading and writing. It needs
// CAP_SYS_ADMIN (Linux 4.13). A map that is gone is ErrNotExist.
func GetFDByID(id uint32) (*Map, error) { return GetFDByIDOpts(id, OpenOpts{}) }

// GetFDByIDOpts is bpf_map_get_fd_by_id_opts: GetFDByID with an open mode. Both modes together are EINVAL;
// the mode holds for this handle alone.
func GetFDByIDOpts(id uint32, o OpenOpts) (*Map, error) {
	fd, err := sys.MapByID(id, uint32(o.OpenFlags), o.TokenFD)
	if err != nil {
		return nil, idError("open map", idName(id), err)
	}
	m, err := fromFD(fd, o.OpenFlags)
	if err != nil {
		return nil, &Error{Op: "open map", Map: idName(id), Err: err}
	}
	return m, nil
}

func idName(id uint32) string { return "id " + strconv.FormatUint(uint64(id), 10) }

// Maps opens the kernel's maps one after the other, in the order of their ids; the consumer closes
// each. Maps that vanish between the two calls are passed over.
func Maps() iter.Seq2[*Map, error] {
	return func(yield func(*Map, error) bool) {
		for id := uint32(0); ; {
			next, ok, err := GetNextID(id)
			if err != nil {
				yield(nil, err)
				return
			}
			if !ok {
				return
			}
			id = next
			m, err := GetFDByID(id)
			if errors.Is(err, ErrNotExist) {
				continue
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

func idError(op, what string, err error) error {
	e := &Error{Op: op, Map: what, Err: err}
	switch {
	case sys.IsPermission(err):
		e.Kind, e.Hint = ErrNotPermitted, missing([]sys.Capability{sys.CapSysAdmin})
	case sys.IsNotExist(err):
		e.Kind = ErrNotExist
	}
	return e
}
