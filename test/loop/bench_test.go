// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// BenchmarkApplyToReady is the time from creating a BPFMap to its status saying Ready, on one node.
// Between two rounds it waits until the agent may publish at once again.
func BenchmarkApplyToReady(b *testing.B) {
	w := newWorld(b)
	newNode(b, w, true).start(b)
	w.apply("warm-up", blocklist)
	w.awaitReady("warm-up")
	round := 0
	for b.Loop() {
		b.StopTimer()
		time.Sleep(2 * time.Second)
		round++
		name := fmt.Sprintf("map-%d", round)
		b.StartTimer()
		w.apply(name, blocklist)
		w.awaitReady(name)
	}
}

// BenchmarkIdleAgent reports the resident memory of an agent that has ten maps and nothing to do.
func BenchmarkIdleAgent(b *testing.B) {
	w := newWorld(b)
	n := newNode(b, w, true).start(b)
	for i := range 10 {
		w.apply(fmt.Sprintf("map-%d", i), blocklist)
	}
	for i := range 10 {
		w.awaitReady(fmt.Sprintf("map-%d", i))
	}
	for b.Loop() {
		time.Sleep(5 * time.Second)
	}
	for _, part := range []string{"VmRSS", "RssAnon"} { // all, and what isn't the program's file
		mib, err := memoryMiB(n.agent.cmd.Process.Pid, part)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(mib, "MiB-"+part)
	}
	b.ReportMetric(0, "ns/op")
}

// memoryMiB is a figure of /proc/PID/status.
func memoryMiB(pid int, name string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		if fields := bytes.Fields(line); len(fields) > 1 && string(fields[0]) == name+":" {
			kib, err := strconv.ParseFloat(string(fields[1]), 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no %s", pid, name)
}
