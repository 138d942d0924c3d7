// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// answer makes the first calls of bpf(2) fail with errno, and counts all.
func answer(t *testing.T, errno unix.Errno, times int) (calls *int) {
	t.Helper()
	calls = new(int)
	hook := func(Cmd) unix.Errno {
		if *calls++; *calls <= times {
			return errno
		}
		return 0
	}
	Intercept.Store(&hook)
	t.Cleanup(func() { Intercept.Store(nil) })
	return calls
}

// TestRetries repeats what bpf(2) asks to repeat, a bounded number of times.
func TestRetries(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EINTR, unix.EAGAIN} {
		for _, times := range []int{1, maxRetries} {
			calls := answer(t, errno, times)
			fd, err := CreateMap(&MapCreateAttr{MapType: unix.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1})
			if err != nil || *calls != times+1 {
				t.Fatalf("%v, %d times: %v after %d calls", errno, times, err, *calls)
			}
			if err := fd.Close(); err != nil {
				t.Error(err)
			}
		}
		calls := answer(t, errno, maxRetries+1)
		if _, err := CreateMap(&MapCreateAttr{}); !errors.Is(err, errno) || *calls != maxRetries+1 {
			t.Errorf("%v for good: %v after %d calls", errno, err, *calls)
		}
		// A batch may have done part of its work, which only the caller can tell.
		calls = answer(t, errno, 1)
		fd := &FD{raw: 1000}
		if _, err := fd.Batch(MapUpdateBatch, nil, nil, nil, nil, 1, 0); !errors.Is(err, errno) || *calls != 1 {
			t.Errorf("batch: %v after %d calls", err, *calls)
		}
	}
	if calls := answer(t, unix.EPERM, 1); calls != nil {
		if _, err := CreateMap(&MapCreateAttr{}); !errors.Is(err, unix.EPERM) || *calls != 1 {
			t.Errorf("another errno: %v after %d calls", err, *calls)
		}
	}
}
