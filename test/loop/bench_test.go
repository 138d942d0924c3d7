// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/test/memory"
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

// BenchmarkIdleAgent reports the memory of an agent that has ten maps and nothing to do, a minute after it started: what is
// resident, what of that isn't the program's file, and, as kubectl top does, the working set of a control group with
// nothing else in it. COLD=1 starts it from a file that isn't in the page cache, as after a node has started.
func BenchmarkIdleAgent(b *testing.B) {
	w := newWorld(b)
	n := newNode(b, w, true)
	group := newMemoryGroup(b)
	n.agent = launchCommand(b, nil, "agent", group.command(b, freshCopy(b, os.Getenv("COLD") != ""), n.args()...))
	for i := range 10 {
		w.apply(fmt.Sprintf("map-%d", i), blocklist)
	}
	for i := range 10 {
		w.awaitReady(fmt.Sprintf("map-%d", i))
	}
	for b.Loop() {
		time.Sleep(time.Minute)
	}
	for _, part := range []string{"VmRSS", "RssAnon"} {
		mib, err := memoryMiB(n.agent.cmd.Process.Pid, part)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(mib, "MiB-"+part)
	}
	b.ReportMetric(group.workingSet(b), "MiB-working-set")
	b.ReportMetric(0, "ns/op")
}

// memoryMiB is a figure of /proc/PID/status.
func memoryMiB(pid int, name string) (float64, error) {
	n, err := memory.Of(pid, name)
	return float64(n) / (1 << 20), err
}
