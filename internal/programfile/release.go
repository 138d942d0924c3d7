// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package programfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// madvCold is MADV_COLD of Linux 5.4 (include/uapi/asm-generic/mman-common.h), which package syscall doesn't have.
const madvCold = 20

// mapping is a range of addresses that shows the program's file.
type mapping struct {
	start, end uintptr
	// written is whether pages were copied and changed, as a debugger and a uprobe do.
	written bool
}

// Release tells the kernel that no page of the program's code and constants is in use. They stay in the page cache, but
// are the first to go when memory is short, don't count as the container's working set, and those that are used after all
// are mapped again when they are. Pages that other processes map, too, stay as they are. It is safe to call at any time.
func Release() error {
	name, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("find the program's file: %w", err)
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return fmt.Errorf("find where the program's file is mapped: %w", err)
	}
	defer func() { _ = f.Close() }()
	mappings, err := readOnly(f, name)
	if err != nil {
		return fmt.Errorf("find where the program's file is mapped: read %s: %w", f.Name(), err)
	}
	var failed []error
	for _, m := range mappings {
		failed = append(failed, m.release())
	}
	return errors.Join(failed...)
}

// release first makes the pages cold: to unmap pages that were used lately would mark them as used.
func (m mapping) release() error {
	if err := m.advise(madvCold); err != nil {
		return fmt.Errorf("mark pages of the program's file as not used: %w", err)
	}
	if m.written {
		return nil // to unmap them would take a breakpoint away
	}
	if err := m.advise(syscall.MADV_DONTNEED); err != nil {
		return fmt.Errorf("unmap pages of the program's file: %w", err)
	}
	return nil
}

func (m mapping) advise(advice uintptr) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, m.start, m.end-m.start, advice); errno != 0 {
		return errno
	}
	return nil
}

// readOnly finds the mappings of a file that can't be written through, in a text as of /proc/PID/smaps (proc(5)).
func readOnly(smaps io.Reader, file string) ([]mapping, error) {
	var found []mapping
	inside := false // the line is about the last one of found
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		line := lines.Text()
		name, rest, _ := strings.Cut(line, " ")
		if strings.HasSuffix(name, ":") {
			if inside && name == "Anonymous:" {
				found[len(found)-1].written = strings.TrimSpace(rest) != "0 kB"
			}
			continue
		}
		inside = false
		// start-end permissions offset device inode path
		permissions, rest, _ := strings.Cut(rest, " ")
		if strings.Contains(permissions, "w") || !strings.HasSuffix(rest, " "+file) {
			continue
		}
		start, end, _ := strings.Cut(name, "-")
		from, fromErr := strconv.ParseUint(start, 16, strconv.IntSize)
		to, toErr := strconv.ParseUint(end, 16, strconv.IntSize)
		if err := errors.Join(fromErr, toErr); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		found, inside = append(found, mapping{start: uintptr(from), end: uintptr(to)}), true
	}
	return found, lines.Err()
}
