// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// RLimitInfinity is a limit that doesn't limit.
const RLimitInfinity = unix.RLIM_INFINITY

// limitMu is held for writing while the limit of the process is not what it should be, and for reading by
// the calls that are charged to it.
var limitMu sync.RWMutex

// MemlockLimit is RLIMIT_MEMLOCK of this process, in bytes: the limit, and how far the process may raise it
// without a capability.
func MemlockLimit() (soft, hard uint64, err error) {
	var limit unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_MEMLOCK, nil, &limit); err != nil {
		return 0, 0, fmt.Errorf("read RLIMIT_MEMLOCK: %w", err)
	}
	return limit.Cur, limit.Max, nil
}

// SetMemlockLimit sets RLIMIT_MEMLOCK of this process. To raise hard takes CAP_SYS_RESOURCE.
func SetMemlockLimit(soft, hard uint64) error {
	limit := unix.Rlimit{Cur: soft, Max: hard}
	if err := unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &limit, nil); err != nil {
		return fmt.Errorf("set RLIMIT_MEMLOCK: %w", err)
	}
	return nil
}

// ProbeMemlock tries whether this kernel charges maps to RLIMIT_MEMLOCK: whether one page of them is refused
// under a limit of 0, and not otherwise. It isn't conclusive if the process may not make maps at all, or if the
// limit is used up. The limit belongs to the whole process: nothing is created by others meanwhile.
func ProbeMemlock() (charges, conclusive bool) {
	limitMu.Lock()
	defer limitMu.Unlock()
	soft, hard, err := MemlockLimit()
	if err != nil || SetMemlockLimit(0, hard) != nil {
		return false, false
	}
	under0 := tryPage()
	if err := SetMemlockLimit(soft, hard); err != nil {
		return false, false // which the kernel permits to everybody
	}
	switch {
	case under0 == nil:
		return false, true
	case !IsPermission(under0) || tryPage() != nil:
		return false, false
	}
	return true, true
}

// tryPage makes the smallest array, which takes one page. The caller holds limitMu.
func tryPage() error {
	fd, err := createMap(&MapCreateAttr{MapType: unix.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return err
	}
	return fd.Close()
}
