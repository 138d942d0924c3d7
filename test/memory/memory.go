// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package memory tells tests how much memory a process has.
package memory

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// Of is a figure of /proc/PID/status (proc_pid_status(5)), such as VmRSS, VmHWM or RssFile, in bytes. The process must be there.
func Of(pid int, name string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		if fields := bytes.Fields(line); len(fields) > 1 && string(fields[0]) == name+":" {
			kib, err := strconv.ParseInt(string(fields[1]), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("process %d has no %s", pid, name)
}
