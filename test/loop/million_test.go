// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// The set of a million: ConfigMaps of as many prefixes as fit.
const (
	millionSources = 25
	millionEach    = 40000
)

const millionMap = `
spec:
  type: LPMTrie
  key: {type: ipv4Prefix}
  value: {type: u32}
  maxEntries: 1100000
  syncPolicy: SYNC
  nodeSelector: {world: NAMESPACE}
  entriesFrom: [{configMapSelector: {matchLabels: {feed: million}}, format: Lines, value: 7}]
`

// BenchmarkMillion brings a million prefixes from ConfigMaps to the kernel, then changes one of them at a
// time. ns/op is the time from the change of the ConfigMap until the kernel has it.
func BenchmarkMillion(b *testing.B) {
	for _, sync := range []string{"Merge", "Mirror"} {
		b.Run(sync, func(b *testing.B) { benchmarkMillion(b, sync) })
	}
}

func benchmarkMillion(b *testing.B, sync string) {
	w := newWorld(b)
	n := newNode(b, w, true).start(b, "--metrics-bind-address", metricsAddress, "--metrics-secure=false")
	feeds := make([]*corev1.ConfigMap, millionSources)
	for s := range feeds {
		var text strings.Builder
		for i := range millionEach {
			address := s*millionEach + i
			fmt.Fprintf(&text, "10.%d.%d.%d/32\n", address>>16, address>>8&255, address&255)
		}
		feeds[s] = &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: fmt.Sprintf("feed-%02d", s), Labels: map[string]string{"feed": "million"}},
			Data:       map[string]string{"list": text.String()},
		}
		if err := w.Create(b.Context(), feeds[s]); err != nil {
			b.Fatal(err)
		}
	}
	start := time.Now()
	w.apply("million", strings.ReplaceAll(millionMap, "SYNC", sync))
	await.Nil(b, 5*time.Minute, func() error {
		m := &v1alpha1.BPFMap{}
		if err := w.Get(b.Context(), client.ObjectKey{Namespace: w.namespace, Name: "million"}, m); err != nil {
			return err
		}
		if len(m.Status.NodeStates) == 0 || !m.Status.NodeStates[0].Ready {
			return fmt.Errorf("status %+v", m.Status.Conditions)
		}
		return nil
	})
	loaded := time.Since(start)
	pinned := n.open(b, "million")
	chunks := w.chunkNames(b)
	calls, read := metric(b, "bpfmap_bpf_syscalls_total"), metric(b, "bpfmap_chunk_read_bytes_total")
	round := 0
	for b.Loop() {
		b.StopTimer()
		time.Sleep(2 * time.Second) // the reports of the change before are out
		round++
		feed := feeds[round%millionSources]
		feed.Data["list"] += fmt.Sprintf("11.0.0.%d/32\n", round)
		key := append([]byte{32, 0, 0, 0}, 11, 0, 0, byte(round))
		b.StartTimer()
		if err := w.Update(b.Context(), feed); err != nil {
			b.Fatal(err)
		}
		await.Nil(b, limit, func() error { return pinned.LookupElem(key, make([]byte, 4)) })
	}
	b.ReportMetric(loaded.Seconds(), "s-to-Ready")
	written := 0
	for name := range w.chunkNames(b) {
		if !chunks[name] {
			written++
		}
	}
	b.ReportMetric(float64(written)/float64(round), "chunks/op")
	b.ReportMetric((metric(b, "bpfmap_bpf_syscalls_total")-calls)/float64(round), "agent-bpf-calls/op")
	b.ReportMetric((metric(b, "bpfmap_chunk_read_bytes_total")-read)/float64(round), "agent-chunk-bytes/op")
	for _, p := range []struct {
		name string
		pid  int
	}{{"controller", w.controller.cmd.Process.Pid}, {"agent", n.agent.cmd.Process.Pid}} {
		peak, err := peakMiB(p.pid)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(peak, p.name+"-peak-MiB")
	}
}

// metricsAddress is where the agent of the benchmark serves metrics.
const metricsAddress = "127.0.0.1:28999"

// metric is the value of a metric without labels.
func metric(t testing.TB, name string) float64 {
	t.Helper()
	response, err := http.Get("http://" + metricsAddress + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("metric %s does not exist", name)
	return 0
}

// chunkNames are the chunks of this world.
func (w *world) chunkNames(t testing.TB) map[string]bool {
	t.Helper()
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("BPFMapChunkList"))
	if err := w.List(t.Context(), list, client.InNamespace(w.namespace)); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for i := range list.Items {
		names[list.Items[i].Name] = true
	}
	return names
}

// peakMiB is the most memory that a process had resident.
func peakMiB(pid int) (float64, error) { return memoryMiB(pid, "VmHWM") }
