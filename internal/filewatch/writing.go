// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package filewatch

import (
	"errors"
	"os"
	"syscall"
)

// BeingWritten says whether some process has a regular file open for writing: the kernel gives nobody a lease for
// reading then (fcntl(2), F_SETLEASE). It is false where the kernel doesn't tell: on file systems without leases, and for
// files of other users without the capability CAP_LEASE.
func BeingWritten(path string) bool {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // without waiting for the writer of a FIFO
	if err != nil {
		return false
	}
	defer file.Close() // it was only looked at, and a lease ends with it
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return false
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return false
	}
	var written bool
	err = raw.Control(func(fd uintptr) {
		_, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_SETLEASE, syscall.F_RDLCK)
		written = errors.Is(errno, syscall.EAGAIN)
	})
	return err == nil && written
}
