// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"os"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// Pin is bpf_obj_pin: it gives the map a name in a BPF file system, which keeps it alive. The pin
// has mode 0600. Errors: ErrExist if anything is there; ErrNotExist if the directory isn't;
// ErrNotPermitted outside of a BPF file system, for a name with '.', or by file permissions.
func (m *Map) Pin(path string) error { return m.pin(path, path) }

// pin pins m at path, which errors call shown.
func (m *Map) pin(path, shown string) error {
	if err := m.fd.Pin(path); err != nil {
		e := &Error{Op: "pin map", Map: m.describe() + " to " + shown, Err: err}
		switch {
		case sys.IsExist(err):
			e.Kind = ErrExist
		case sys.IsNotExist(err):
			e.Kind, e.Hint = ErrNotExist, "the directory is missing"
		case sys.IsPermission(err):
			e.Kind, e.Hint = ErrNotPermitted, lackingForAll("pins need a BPF file system, names without '.', and write permission on the directory")
		}
		return e
	}
	return nil
}

// GetPinned is bpf_obj_get: it opens the map pinned at path. flags are RdOnly, WrOnly or neither.
// Pins of programs, links and BTF are refused. Errors: ErrNotExist; ErrNotMap; ErrNotPermitted by the
// pin's mode, or because path is not a pin.
func GetPinned(path string, flags MapFlags) (*Map, error) { return getPinned(path, path, flags) }

// getPinned opens the map at path, which errors call shown.
func getPinned(path, shown string, flags MapFlags) (*Map, error) {
	fd, err := openPin(path, shown, flags, "anon_inode:bpf-map", ErrNotMap)
	if err != nil {
		return nil, err
	}
	m, err := fromFD(fd, flags)
	if err != nil {
		return nil, &Error{Op: "open pin", Map: shown, Err: err}
	}
	return m, nil
}

// openPin opens what is pinned at path, which errors call shown. If that is something else than kind, as
// /proc/self/fd shows it, it is closed again and the error is other.
func openPin(path, shown string, flags MapFlags, kind string, other error) (*sys.FD, error) {
	fd, err := sys.GetPinned(path, uint32(flags))
	if err != nil {
		e := &Error{Op: "open pin", Map: shown, Err: err}
		switch {
		case sys.IsNotExist(err):
			e.Kind = ErrNotExist
		case sys.IsNotPermitted(err): // the modes of files give EACCES
			e.Kind, e.Hint = ErrNotPermitted, lackingForAll("bpf(2) is forbidden by a seccomp filter, as seccompProfile RuntimeDefault does in a pod without capabilities, or by "+Confined("").String())
		case sys.IsPermission(err):
			e.Kind, e.Hint = ErrNotPermitted, lackingForAll("by its mode, or because it is not a pin"+orConfined())
		}
		return nil, e
	}
	target, err := fd.LinkTarget()
	if err != nil {
		return nil, closing(fd, &Error{Op: "open pin", Map: shown, Err: err})
	}
	if target != kind {
		return nil, closing(fd, &Error{Op: "open pin", Map: shown, Kind: other, Hint: "it is " + target})
	}
	return fd, nil
}

// Unpin removes a pin. The kernel frees the map when its last user is gone.
func Unpin(path string) error {
	if err := os.Remove(path); err != nil {
		e := &Error{Op: "remove pin", Map: path, Err: err}
		if sys.IsNotExist(err) {
			e.Kind = ErrNotExist
		}
		return e
	}
	return nil
}

// RenamePin moves a pin within one BPF file system, atomically for readers. With replace it takes
// the place of a pin at to; without, such a pin is ErrExist (rename(2), RENAME_NOREPLACE).
func RenamePin(from, to string, replace bool) error {
	return renamePin(from, to, from+" to "+to, replace)
}

// renamePin renames a pin; errors call both paths shown.
func renamePin(from, to, shown string, replace bool) error {
	if err := sys.Rename(from, to, replace); err != nil {
		if l := (*os.LinkError)(nil); errors.As(err, &l) {
			err = l.Err
		}
		e := &Error{Op: "rename pin", Map: shown, Err: err}
		switch {
		case sys.IsExist(err):
			e.Kind = ErrExist
		case sys.IsNotExist(err):
			e.Kind = ErrNotExist
		case sys.IsPermission(err):
			e.Kind, e.Hint = ErrNotPermitted, "by the permissions of the directories"
		}
		return e
	}
	return nil
}

// IsBPFFS says whether path lies on a BPF file system.
func IsBPFFS(path string) (bool, error) { return sys.IsBPFFS(path) }
