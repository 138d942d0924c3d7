// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
)

// BenchmarkDocument compiles a document of a million prefixes of which one line has changed: all of it is read again.
// CPU time says more than time on a machine that does other work.
func BenchmarkDocument(b *testing.B) {
	const n = 1_000_000
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf("%d.%d.%d.%d/30\n", 1+i>>22, i>>14&255, i>>6&255, i<<2&255)
	}
	shuffled := slices.Clone(lines)
	rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for name, lines := range map[string][]string{"sorted": lines, "shuffled": shuffled} {
		b.Run(name, func(b *testing.B) { benchmarkDocument(b, lines) })
	}
}

func benchmarkDocument(b *testing.B, lines []string) {
	var text bytes.Buffer
	for _, line := range lines {
		text.WriteString(line)
	}
	m := &v1alpha1.BPFMap{}
	m.Namespace, m.Name = "edge", "feed"
	m.Spec = v1alpha1.BPFMapSpec{Type: v1alpha1.MapTypeLPMTrie, Key: &v1alpha1.Schema{Type: v1alpha1.TypeIPv4Prefix}, Value: v1alpha1.Schema{Type: v1alpha1.TypeU32}, MaxEntries: 2 * int64(len(lines))}
	from := v1alpha1.EntrySource{Format: v1alpha1.SourceLines}
	if err := yaml.Unmarshal([]byte("5"), &from.Value); err != nil {
		b.Fatal(err)
	}
	m.Spec.EntriesFrom = []v1alpha1.EntrySource{from}
	list := []compile.Source{{Name: "feed", Load: func() ([]byte, error) { return text.Bytes(), nil }}}
	cache := compile.NewCache()
	b.ReportAllocs()
	before := cpuTime(b)
	for round := 0; b.Loop(); round++ {
		list[0].Version = fmt.Sprint(round)
		if rev, err := compile.With(m, list, cache); err != nil || rev.Contents.Len != len(lines) {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpuTime(b)-before)/float64(b.N)*1000, "cpu-ms/op")
}

// cpuTime is what this process has used, in seconds.
func cpuTime(b *testing.B) float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}
