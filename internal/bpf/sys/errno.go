// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"errors"

	"golang.org/x/sys/unix"
)

// IsNotExist is ENOENT.
func IsNotExist(err error) bool { return errors.Is(err, unix.ENOENT) }

// IsExist is EEXIST.
func IsExist(err error) bool { return errors.Is(err, unix.EEXIST) }

// IsTooBig is E2BIG.
func IsTooBig(err error) bool { return errors.Is(err, unix.E2BIG) }

// IsNoSpace is ENOSPC.
func IsNoSpace(err error) bool { return errors.Is(err, unix.ENOSPC) }

// IsNotSupp is EOPNOTSUPP, or the kernel's internal ENOTSUPP (524).
func IsNotSupp(err error) bool { return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, enotsupp) }

// IsInvalid is EINVAL.
func IsInvalid(err error) bool { return errors.Is(err, unix.EINVAL) }

// IsPermission is EPERM or EACCES.
func IsPermission(err error) bool { return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) }

// IsNotPermitted is EPERM: the verifier says EACCES of what a program may not do.
func IsNotPermitted(err error) bool { return errors.Is(err, unix.EPERM) }

// IsNoMemory is ENOMEM.
func IsNoMemory(err error) bool { return errors.Is(err, unix.ENOMEM) }

// IsBusy is EBUSY.
func IsBusy(err error) bool { return errors.Is(err, unix.EBUSY) }

// IsAgain is EAGAIN.
func IsAgain(err error) bool { return errors.Is(err, unix.EAGAIN) }

// IsInterrupted is EINTR.
func IsInterrupted(err error) bool { return errors.Is(err, unix.EINTR) }

// IsTransient says whether the same call may go well later: EAGAIN and EINTR, and what the kernel answers
// when it doesn't get a lock of a map: EBUSY, and since Linux 6.15 EDEADLK and ETIMEDOUT.
func IsTransient(err error) bool {
	for _, errno := range [...]unix.Errno{unix.EAGAIN, unix.EINTR, unix.EBUSY, unix.EDEADLK, unix.ETIMEDOUT} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
