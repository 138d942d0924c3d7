// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
)

// TestBytesOfPerCPUValues declares one value for all CPUs, which the kernel is given once for each entry since Linux
// 7.0, and once for each possible CPU before, or where entries list the CPUs' values. Readings see every CPU: a value
// that one CPU has changed is repaired.
func TestBytesOfPerCPUValues(t *testing.T) {
	const n = 4000
	cpus, err := bpf.PossibleCPUs()
	if err != nil {
		t.Fatal(err)
	}
	var each []string
	for i := range cpus {
		each = append(each, fmt.Sprint(i+7))
	}
	list := fmt.Sprintf("{key: 0, values: [%s]}", strings.Join(each, ","))
	for typ, key := range map[string]string{"PerCPUHash": "key: {type: u32}, ", "LRUPerCPUHash": "key: {type: u32}, ", "PerCPUArray": ""} {
		first := uint64(0)
		for _, disabled := range []bool{false, true} {
			if disabled {
				disable(t, "AllCPUs")
			}
			has := bpf.HaveAllCPUs(bpf.PerCPUHash)
			if has != (bpftest.Since(t, 7, 0) && !disabled) {
				t.Fatalf("AllCPUs: %t", has)
			}
			node := newNode(t)
			entries := []string{list}
			for i := 1; i < n; i++ {
				entries = append(entries, fmt.Sprintf("{key: %d, value: %d}", i, i+1))
			}
			r := declare(t, "counters", fmt.Sprintf("{type: %s, %svalue: {type: u64}, maxEntries: %d, entries: [%s]}", typ, key, 2*n, strings.Join(entries, ", ")))
			before, start := bpf.Written(), time.Now()
			node.sync(r, v1alpha1.NodeMapReady, engine.ActionCreated)
			written, took := bpf.Written()-before, time.Since(start)
			t.Logf("%s, %d entries of 8 bytes, %d possible CPUs, AllCPUs %t: %d bytes written in %s", typ, n, cpus, has, written, took.Round(time.Millisecond))
			// The difference is that of all entries but the one with a list; the record's bytes differ by its numbers alone.
			saved := 0
			if disabled && bpftest.Since(t, 7, 0) {
				saved = (n - 1) * 8 * (cpus - 1)
			}
			if less := int(written) - saved - int(first); disabled && max(less, -less) > 100 {
				t.Errorf("%s: %d bytes were written at first, then without AllCPUs %d, want %d more", typ, first, written, saved)
			}
			first = written
			m, err := bpf.GetPinned(node.pins.Path(r.Pin.Path), 0)
			if err != nil {
				t.Fatal(err)
			}
			value := make([]byte, m.ValueStride())
			five := []byte{5, 0, 0, 0}
			if err := m.LookupElem(five, value); err != nil {
				t.Fatal(err)
			}
			value[len(value)-8]++ // of the last CPU
			if err := m.UpdateElem(five, value, bpf.Any); err != nil {
				t.Fatal(err)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
			if report := node.Sync(t.Context(), r); report.Action != engine.ActionRepaired || report.Err != nil {
				t.Errorf("%s: after one CPU's value changed: %s, %v", typ, report.Action, report.Err)
			}
		}
		if err := bpf.Disable(); err != nil {
			t.Fatal(err)
		}
	}
}
