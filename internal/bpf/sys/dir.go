// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// OpenDir opens the directory path, to name what is in it; it can't be read itself.
func OpenDir(path string) (*FD, error) { return openAt(unix.AT_FDCWD, path, unix.O_DIRECTORY) }

// OpenDir opens the directory name in fd. A symbolic link is ENOTDIR, wherever it leads.
func (fd *FD) OpenDir(name string) (*FD, error) {
	return fd.openAt(name, unix.O_DIRECTORY|unix.O_NOFOLLOW)
}

// OpenFile opens what is called name in fd, a symbolic link itself and not what it leads to. The
// descriptor is only good for looking at the file, and for BPF_OBJ_GET by its ProcPath.
func (fd *FD) OpenFile(name string) (*FD, error) { return fd.openAt(name, unix.O_NOFOLLOW) }

func (fd *FD) openAt(name string, flags int) (*FD, error) {
	fd.mu.RLock()
	defer fd.mu.RUnlock()
	if fd.raw < 0 {
		return nil, ErrClosed
	}
	return openAt(fd.raw, name, flags)
}

func openAt(dir int, path string, flags int) (*FD, error) {
	for {
		raw, err := unix.Openat(dir, path, flags|unix.O_PATH|unix.O_CLOEXEC, 0)
		switch {
		case err == nil:
			return newFD(raw), nil
		case err != unix.EINTR:
			return nil, err
		}
	}
}

// Stat looks at the open file.
func (fd *FD) Stat() (os.FileInfo, error) {
	defer runtime.KeepAlive(fd)
	return os.Stat(fd.ProcPath())
}

// ProcPath is a path that leads to the open file, whatever happens to its names; and with a name behind it
// into the open directory. It is good while fd is open.
func (fd *FD) ProcPath() string { return "/proc/self/fd/" + itoa(fd.Raw()) }

// RenameExchange swaps what two names stand for, in one step (renameat2(2), RENAME_EXCHANGE). The BPF file
// system can since Linux 5.16, and answers EINVAL before.
func RenameExchange(a, b string) error {
	if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
		return &os.LinkError{Op: "renameat2", Old: a, New: b, Err: err}
	}
	return nil
}
