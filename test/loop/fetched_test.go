// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

const fetchedMap = `
spec:
  type: LPMTrie
  key: {type: ipv4Prefix}
  value: {type: u32}
  maxEntries: 1100000
  nodeSelector: {world: NAMESPACE}
  entriesFrom: [{http: {url: "%s/drop.txt"}, format: Lines, value: 7}]
`

// BenchmarkMillionFetched brings a million prefixes from a URL to the kernel, and then one more line: with one iteration
// (-benchtime 1x). s-to-Ready is the time from the creation of the BPFMap, s-line that from the end of the server's answer
// until the kernel has the line. The rest is CPU time of each process meanwhile, which other work on the machine changes
// less.
func BenchmarkMillionFetched(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		benchmarkFetched(b)
		b.StartTimer()
	}
}

func benchmarkFetched(b *testing.B) {
	var text bytes.Buffer
	for i := range 1_000_000 {
		fmt.Fprintf(&text, "%d.%d.%d.%d/30\n", 1+i>>22, i>>14&255, i>>6&255, i<<2&255)
	}
	var body atomic.Pointer[[]byte]
	var answered atomic.Int64
	publish := func(list []byte) { body.Store(&list) }
	publish(text.Bytes())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.Copy(w, bytes.NewReader(*body.Load()))
		answered.Store(time.Now().UnixNano())
	}))
	b.Cleanup(server.Close)
	w := newWorldWith(b, "--allowed-source-hosts", strings.TrimPrefix(server.URL, "http://"), "--allowed-source-networks", "127.0.0.0/8", "--source-cache-dir", b.TempDir())
	n := newNode(b, w, true).start(b)
	pids := map[string]int{"controller": w.controller.cmd.Process.Pid, "agent": n.agent.cmd.Process.Pid, "etcd": child(b, "etcd"), "apiserver": child(b, "kube-apiserver")}
	measured := func(what string, do func() time.Duration) {
		before := map[string]float64{}
		for name, pid := range pids {
			before[name] = cpuSeconds(b, pid)
		}
		b.ReportMetric(do().Seconds(), "s-"+what)
		for name, pid := range pids {
			b.ReportMetric(cpuSeconds(b, pid)-before[name], name+"-cpu-s-"+what)
		}
	}
	measured("to-Ready", func() time.Duration {
		start := time.Now()
		w.apply("million", fmt.Sprintf(fetchedMap, server.URL))
		await.Nil(b, 5*time.Minute, func() error {
			time.Sleep(50 * time.Millisecond) // to look costs time, too
			m := &v1alpha1.BPFMap{}
			if err := w.Get(b.Context(), client.ObjectKey{Namespace: w.namespace, Name: "million"}, m); err != nil {
				return err
			}
			if len(m.Status.NodeStates) == 0 || !m.Status.NodeStates[0].Ready {
				return fmt.Errorf("status %+v", m.Status.Conditions)
			}
			return nil
		})
		return time.Since(start)
	})
	pinned := n.open(b, "million")
	time.Sleep(10 * time.Second) // all is told, and a fetch may be asked for again
	measured("line", func() time.Duration {
		publish(append(text.Bytes(), "203.0.113.0/24\n"...))
		m := &v1alpha1.BPFMap{}
		m.Namespace, m.Name = w.namespace, "million"
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:"again"}}}`, v1alpha1.AnnotationFetchRequestedAt)
		if err := w.Patch(b.Context(), m, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
			b.Fatal(err)
		}
		key := []byte{24, 0, 0, 0, 203, 0, 113, 0}
		await.Nil(b, limit, func() error { return pinned.LookupElem(key, make([]byte, 4)) })
		return time.Since(time.Unix(0, answered.Load()))
	})
	for _, name := range []string{"controller", "agent"} {
		peak, err := peakMiB(pids[name])
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(peak, name+"-peak-MiB")
	}
}

// child is the process of this one that runs a program.
func child(t testing.TB, program string) int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		pid, rest, _ := strings.Cut(string(text), " (")
		at := strings.LastIndex(rest, ") ")
		// The kernel keeps 15 characters of a name: proc_pid_stat(5).
		if fields := strings.Fields(rest[at+1:]); strings.HasPrefix(program, rest[:at]) && fields[1] == strconv.Itoa(os.Getpid()) {
			found, err := strconv.Atoi(pid)
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
	}
	t.Fatalf("no child process runs %s", program)
	return 0
}

// ticks is how many clock ticks of /proc are a second: USER_HZ, which is 100 on all architectures that Go runs on.
const ticks = 100

// cpuSeconds is the CPU time that a process has used.
func cpuSeconds(t testing.TB, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndex(text, []byte(") "))+1:]))
	sum := 0.0
	for _, field := range fields[11:13] { // utime and stime
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n / ticks
	}
	return sum
}
