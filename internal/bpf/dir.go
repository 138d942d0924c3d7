// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// Dir is an open directory of a BPF file system. Everything in it is reached through the open directory
// and by one name, so that nobody who renames directories or puts symbolic links in their places leads it
// elsewhere. Names have no '/'. Errors tell the path by which the directory was found.
type Dir struct {
	fd   *sys.FD
	path string
}

// OpenDir opens the directory at path, which the caller trusts as a whole. shown is its path for people.
// Errors are fs.PathErrors.
func OpenDir(path, shown string) (*Dir, error) {
	fd, err := sys.OpenDir(path)
	if err != nil {
		return nil, &fs.PathError{Op: "open directory", Path: shown, Err: err}
	}
	return &Dir{fd, shown}, nil
}

// Dir opens a directory in d. What isn't there is fs.ErrNotExist; what is no directory, such as a symbolic
// link, is syscall.ENOTDIR.
func (d *Dir) Dir(name string) (*Dir, error) {
	fd, err := d.fd.OpenDir(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open directory", Path: d.Path(name), Err: err}
	}
	return &Dir{fd, d.Path(name)}, nil
}

// Close gives the directory up.
func (d *Dir) Close() error { return d.fd.Close() }

// Path is the path of what is called name, for people.
func (d *Dir) Path(name string) string { return filepath.Join(d.path, name) }

// at is a path by which the kernel finds what is called name in the open directory.
func (d *Dir) at(name string) string { return d.fd.ProcPath() + "/" + name }

// Stat looks at the directory itself.
func (d *Dir) Stat() (fs.FileInfo, error) {
	st, err := d.fd.Stat()
	return st, d.shown(err, "")
}

// Lstat looks at what is called name, and not at what a symbolic link leads to.
func (d *Dir) Lstat(name string) (fs.FileInfo, error) {
	st, err := os.Lstat(d.at(name))
	return st, d.shown(err, name)
}

// Names are the names in the directory, sorted.
func (d *Dir) Names() ([]string, error) {
	entries, err := os.ReadDir(d.at(""))
	if err != nil {
		return nil, d.shown(err, "")
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Mkdir makes a directory with exactly this mode, whatever the umask is.
func (d *Dir) Mkdir(name string, mode fs.FileMode) error {
	if err := os.Mkdir(d.at(name), mode); err != nil {
		return d.shown(err, name)
	}
	return d.shown(os.Chmod(d.at(name), mode), name)
}

// Chmod sets the mode of a pin.
func (d *Dir) Chmod(name string, mode fs.FileMode) error {
	return d.shown(os.Chmod(d.at(name), mode), name)
}

// Lchown sets the owner of a pin.
func (d *Dir) Lchown(name string, uid, gid uint32) error {
	return d.shown(os.Lchown(d.at(name), int(uid), int(gid)), name)
}

// Remove removes a pin or an empty directory. The kernel frees a map when its last user is gone.
func (d *Dir) Remove(name string) error {
	err := os.Remove(d.at(name))
	if err == nil {
		return nil
	}
	e := &Error{Op: "remove pin", Map: d.Path(name), Err: errors.Unwrap(err)}
	if sys.IsNotExist(err) {
		e.Kind = ErrNotExist
	}
	return e
}

// Pin gives m a name in the directory, with mode 0600. Errors are those of Map.Pin.
func (d *Dir) Pin(m *Map, name string) error { return m.pin(d.at(name), d.Path(name)) }

// Map opens the map pinned as name. Errors are those of GetPinned; a symbolic link is ErrNotMap.
func (d *Dir) Map(name string, flags MapFlags) (*Map, error) {
	var m *Map
	err := d.open(name, ErrNotMap, func(at, shown string) (err error) {
		m, err = getPinned(at, shown, flags)
		return err
	})
	return m, err
}

// Program opens the program pinned as name. Errors are those of GetPinnedProgram; a symbolic link is
// ErrNotProgram.
func (d *Dir) Program(name string) (*Program, error) {
	var p *Program
	err := d.open(name, ErrNotProgram, func(at, shown string) (err error) {
		p, err = getPinnedProgram(at, shown)
		return err
	})
	return p, err
}

// open lets get open the very file that was found to be no symbolic link: the kernel would follow one.
func (d *Dir) open(name string, isNone error, get func(at, shown string) error) error {
	fd, err := d.fd.OpenFile(name)
	if err != nil {
		e := &Error{Op: "open pin", Map: d.Path(name), Err: err}
		switch {
		case sys.IsNotExist(err):
			e.Kind = ErrNotExist
		case sys.IsPermission(err):
			e.Kind = ErrNotPermitted
		}
		return e
	}
	defer fd.Close() // nothing was written through it
	st, err := fd.Stat()
	switch {
	case err != nil:
		return &Error{Op: "open pin", Map: d.Path(name), Err: err}
	case !st.Mode().IsRegular():
		return &Error{Op: "open pin", Map: d.Path(name), Kind: isNone, Hint: "it is " + st.Mode().String()}
	}
	return get(fd.ProcPath(), d.Path(name))
}

// Rename moves a pin into another directory of the same file system, in one step for everybody who looks. With
// replace it takes the place of a pin there; without, such a pin is ErrExist.
func (d *Dir) Rename(name string, to *Dir, toName string, replace bool) error {
	return renamePin(d.at(name), to.at(toName), d.Path(name)+" to "+to.Path(toName), replace)
}

// Exchange swaps name in d with toName in another directory of the same file system, in one step for
// programs that open either. Both must be there, else the error is ErrNotExist. It is ErrNotSupported before
// Linux 5.16.
func (d *Dir) Exchange(name string, to *Dir, toName string) error {
	err := sys.RenameExchange(d.at(name), to.at(toName))
	if err == nil {
		return nil
	}
	e := &Error{Op: "exchange pins", Map: d.Path(name) + " and " + to.Path(toName), Err: errors.Unwrap(err)}
	switch {
	case sys.IsNotExist(err):
		e.Kind = ErrNotExist
	case sys.IsInvalid(err):
		e.Kind = ErrNotSupported
	case sys.IsPermission(err):
		e.Kind, e.Hint = ErrNotPermitted, "by the permissions of the directories"
	}
	return e
}

// Symlink makes a symbolic link with any text. What is there already is fs.ErrExist.
func (d *Dir) Symlink(name, text string) error {
	if err := os.Symlink(text, d.at(name)); err != nil {
		return &fs.PathError{Op: "make symbolic link", Path: d.Path(name), Err: errors.Unwrap(err)}
	}
	return nil
}

// Readlink is the text of a symbolic link. What isn't there is fs.ErrNotExist, what isn't one EINVAL.
func (d *Dir) Readlink(name string) (string, error) {
	text, err := os.Readlink(d.at(name))
	return text, d.shown(err, name)
}

// Open opens the directory itself anew, for flock(2): a Dir is only good for finding what is in it.
func (d *Dir) Open() (*os.File, error) {
	f, err := os.Open(d.at(""))
	return f, d.shown(err, "")
}

// shown puts the path that people know into an error.
func (d *Dir) shown(err error, name string) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return &fs.PathError{Op: p.Op, Path: strings.TrimSuffix(d.Path(name), "/"), Err: p.Err}
	}
	return err
}
