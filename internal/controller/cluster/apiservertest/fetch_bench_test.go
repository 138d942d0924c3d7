// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservertest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// BenchmarkMillionFetched measures the time from a request for a fetch to the revision: of a million prefixes, and of
// one more. A run has one iteration: -benchtime=1x.
func BenchmarkMillionFetched(b *testing.B) {
	var lines strings.Builder
	for i := range 1_000_000 {
		fmt.Fprintf(&lines, "%d.%d.%d.%d/30\n", 1+i>>22, i>>14&255, i>>6&255, i<<2&255)
	}
	for b.Loop() {
		b.StopTimer()
		fetchMillion(b, lines.String())
		b.StartTimer()
	}
}

func fetchMillion(b *testing.B, text string) {
	s := newSite(b)
	w := newIdleWorld(b)
	w.options = fetching(b, s)
	w.start()
	s.publish(text)
	start := time.Now()
	w.create("million", strings.Replace(fmt.Sprintf(fetchedMap, s.URL+"/drop.txt"), "maxEntries: 64", "maxEntries: 2000000", 1))
	w.awaitCount("million", 1_000_000)
	b.ReportMetric(time.Since(start).Seconds(), "s/million")
	s.publish(text + "203.0.113.0/24\n")
	start = time.Now()
	w.fetchAgain("million")
	w.awaitCount("million", 1_000_001)
	b.ReportMetric(time.Since(start).Seconds(), "s/line")
	w.stop()
}

// awaitCount waits longer than limit: as long as a busy machine needs for many entries.
func (w *world) awaitCount(name string, want int64) {
	w.t.Helper()
	await.Nil(w.t, 10*limit, func() error {
		m, err := w.get(name)
		if err != nil {
			return err
		}
		if m.Status.Entries == nil || *m.Status.Entries != want {
			return fmt.Errorf("entries are %v, want %d; conditions %v", m.Status.Entries, want, m.Status.Conditions)
		}
		return nil
	})
}
