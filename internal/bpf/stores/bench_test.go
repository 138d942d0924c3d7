// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package stores_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// cpuTime is how many nanoseconds of a CPU this process has used: others are at work on the machine.
func cpuTime(b *testing.B) int64 {
	b.Helper()
	var used unix.Rusage
	must(b, unix.Getrusage(unix.RUSAGE_SELF, &used))
	return used.Utime.Nano() + used.Stime.Nano()
}

// BenchmarkStore writes 16 of 32 bytes of elements that differ from what is there, by programs and by reading
// and writing whole values.
func BenchmarkStore(b *testing.B) {
	for _, typ := range plainTypes {
		for _, n := range []int{1, 10000} {
			o := optsOf(typ, 4, trafficSize)
			o.MaxEntries = 40000 // so that nothing is evicted
			m := create(b, o)
			stride := m.ValueStride()
			var mask []byte
			for range stride / trafficSize {
				mask = append(mask, trafficMask(true)...)
			}
			var keys []byte
			for i := range uint32(n) {
				if typ == bpf.LPMTrie {
					keys = binary.NativeEndian.AppendUint32(keys, 32)
				}
				keys = binary.NativeEndian.AppendUint32(keys, i)
			}
			values := make([]byte, n*stride)
			if _, err := m.UpdateBatch(b.Context(), keys, values, bpf.Any); err != nil {
				b.Fatal(err)
			}
			measure := func(name string, store func(context.Context, []byte, []byte) (int, error)) {
				b.Run(fmt.Sprintf("%s/%d/%s", typ, n, name), func(b *testing.B) {
					b.ReportAllocs()
					before := cpuTime(b)
					for round := 0; b.Loop(); round++ {
						for at := range values {
							values[at] = byte(round)
						}
						if missing, err := store(b.Context(), keys, values); missing > 0 || err != nil {
							b.Fatal(missing, err)
						}
					}
					b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N)/float64(n), "cpu-ns/element")
				})
			}
			measure("program", writer(b, m, mask, bpf.Any).Store)
			g, err := m.NewMerger(mask, bpf.Any)
			must(b, err)
			measure("read-modify-write", g.Merge)
		}
	}
}
