// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"sync"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// memcgAccounting is the kernel that charges the memory of maps and programs to the memory cgroup instead of
// RLIMIT_MEMLOCK. Distributions carry it to older ones, so it is asked only where trying doesn't tell.
var memcgAccounting = maptype.Kernel{Major: 5, Minor: 11}

// AllowMemlock raises RLIMIT_MEMLOCK of this process as far as it may, if the kernel charges the memory of maps
// and programs to it (before Linux 5.11, by default 64 KiB for all processes of a user together). Call it when
// a process starts.
//
// It returns nil if the kernel doesn't, or if there is no limit now. Without CAP_SYS_RESOURCE the limit is
// raised to the hard one, which may be enough: then, and if that can't be told, the error is
// ErrMemlockLimit, names the limit and what to do, and is worth a warning.
func AllowMemlock() error {
	soft, hard, err := sys.MemlockLimit()
	if err != nil {
		return err
	}
	if soft == sys.RLimitInfinity || !chargesMemlock() {
		return nil
	}
	if hard != sys.RLimitInfinity {
		err = sys.SetMemlockLimit(sys.RLimitInfinity, sys.RLimitInfinity)
	} else {
		err = sys.SetMemlockLimit(hard, hard)
	}
	if err == nil {
		return nil
	}
	if soft < hard {
		if err := sys.SetMemlockLimit(hard, hard); err != nil {
			return err
		}
	}
	return &Error{Op: "raise the limit of locked memory", Kind: ErrMemlockLimit, Hint: memlockHint(hard, 0), Err: err}
}

// memlockProbe caches a conclusive answer of chargesMemlock.
var memlockProbe struct {
	sync.Mutex
	known, charges bool
}

// chargesMemlock says whether this kernel charges maps and programs to RLIMIT_MEMLOCK.
func chargesMemlock() bool {
	memlockProbe.Lock()
	defer memlockProbe.Unlock()
	if !memlockProbe.known {
		memlockProbe.charges, memlockProbe.known = sys.ProbeMemlock()
	}
	if !memlockProbe.known {
		running := runningKernel()
		return running != maptype.Kernel{} && running.Before(memcgAccounting)
	}
	return memlockProbe.charges
}

// overMemlock says whether EPERM means that RLIMIT_MEMLOCK is too low, and advises. least is how many bytes
// are needed at least, 0 if that isn't known. The caller has made sure that no capability is missing.
func overMemlock(least uint64) (hint string, over bool) {
	soft, _, err := sys.MemlockLimit()
	if err != nil || soft == sys.RLimitInfinity || !chargesMemlock() {
		return "", false
	}
	return memlockHint(soft, least), true
}

func memlockHint(limit, least uint64) string {
	hint := "RLIMIT_MEMLOCK is " + bytesText(limit) + ", and this kernel charges the maps and programs of all processes of a user to it"
	if least > 0 {
		hint += "; the keys and values of this map alone take " + bytesText(least)
	}
	return hint + "; raise it by the chart's value agent.raiseMemlock, which adds the capability SYS_RESOURCE, " +
		"or where the process is started: LimitMEMLOCK= in the unit of the container runtime, ulimit -l in a shell"
}

// leastBytes is what the keys and values of a map take, without what the kernel adds.
func (o CreateOpts) leastBytes() uint64 {
	t := maptype.ByNumber(uint32(o.Type)).Or()
	switch t.Capacity {
	case maptype.Bytes:
		return uint64(o.MaxEntries)
	case maptype.Pages, maptype.Unbounded:
		return 0
	}
	value := uint64(maptype.Slot(int(o.ValueSize)))
	if cpus, err := PossibleCPUs(); err == nil && t.PerCPU {
		value *= uint64(cpus)
	}
	key := uint64(maptype.Slot(int(o.KeySize)))
	if t.Indexed {
		key = 0
	}
	return uint64(o.MaxEntries) * (key + value)
}

// bytesText is a number of bytes for people, rounded up to a tenth.
func bytesText(n uint64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d bytes", n)
	}
	unit := uint64(1 << 10)
	names := []string{"KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; i < len(names)-1 && n >= unit<<10; i++ {
		unit <<= 10
	}
	whole, tenths := n/unit, (n%unit*10+unit-1)/unit
	if tenths == 10 {
		whole, tenths = whole+1, 0
	}
	if tenths == 0 {
		return fmt.Sprintf("%d %s", whole, names[i])
	}
	return fmt.Sprintf("%d.%d %s", whole, tenths, names[i])
}
