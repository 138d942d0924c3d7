// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package footprint_test

import (
	"math"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/footprint"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// TestLargestShapes doesn't wrap around: what is too large for a number is the largest one.
func TestLargestShapes(t *testing.T) {
	for _, typ := range []v1alpha1.MapType{"Hash", "PerCPUHash", "Array", "PerCPUArray", "LPMTrie", "Queue", "BloomFilter", "StackTrace", "RingBuf", "Arena", "Unheard"} {
		for _, flags := range [][]v1alpha1.MapFlag{nil, {v1alpha1.FlagNoPrealloc}, {v1alpha1.FlagMmapable}} {
			s := revision.Shape{Type: typ, KeySize: math.MaxUint32, ValueSize: math.MaxUint32, MaxEntries: math.MaxUint32, Flags: flags}
			if e := footprint.Of(s, 8192); e.Empty < 0 || e.Full() < 1<<29 || e.With(math.MaxInt32) < 0 || e.Charged(math.MaxInt64, true) < 0 {
				t.Errorf("%s %v: %+v, full %d", typ, flags, e, e.Full())
			}
		}
	}
}

// TestChargedWithoutMeasure: what a kernel computes from sizes says nothing of a map, which then counts as full.
func TestChargedWithoutMeasure(t *testing.T) {
	for _, s := range []revision.Shape{
		{Type: "Hash", KeySize: 4, ValueSize: 100, MaxEntries: 1000, Flags: []v1alpha1.MapFlag{v1alpha1.FlagNoPrealloc}},
		{Type: "BloomFilter", ValueSize: 100, MaxEntries: 1000},
	} {
		e := footprint.Of(s, 2)
		for _, memlock := range []int64{0, 4096, 1 << 30} {
			if got := e.Charged(memlock, false); got != e.Full() {
				t.Errorf("%s: %d of memlock are charged as %d, want %d", s.Type, memlock, got, e.Full())
			}
		}
	}
}

func TestFormat(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 1023: "1023", 1024: "1Ki", 12 << 20: "12Mi", 13107200: "12.5Mi", math.MaxInt64: "8Ei"} {
		if got := footprint.Format(n); got != want {
			t.Errorf("Format(%d) is %q, want %q", n, got, want)
		}
	}
}
