// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// batchSize is how many entries one batch call carries, for every contender.
const batchSize = 4096

func main() {
	entries := flag.Int("entries", 100_000, "entries in each map")
	rounds := flag.Int("rounds", 7, "rounds of each measurement")
	flag.Parse()
	if err := run(*entries, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(entries, rounds int) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "map\toperation\traw ns\tbpfmap ns\tcilium ns\tbpfmap/raw\tcilium/raw\tcilium/bpfmap\t")
	for _, typ := range []bpf.MapType{bpf.Hash, bpf.LPMTrie} {
		for _, valueSize := range []int{8, 64} {
			set, err := newSet(typ, valueSize, entries)
			if err != nil {
				return err
			}
			for _, op := range operations {
				if err := compare(w, set, op, rounds); err != nil {
					return fmt.Errorf("%s of %s: %w", op, set, err)
				}
			}
			if err := set.close(); err != nil {
				return err
			}
		}
	}
	return w.Flush()
}

// compare runs one operation by every contender, rounds times in shuffled order, and prints a line.
func compare(w *tabwriter.Writer, set *set, op operation, rounds int) error {
	times := make([][]float64, len(set.contenders))
	for round := range rounds + 1 {
		for _, i := range rand.Perm(len(set.contenders)) {
			c := set.contenders[i]
			if err := c.prepare(op, set); err != nil {
				return fmt.Errorf("prepare %s: %w", c.name(), err)
			}
			runtime.GC()
			start := time.Now()
			n, err := c.run(op, set)
			elapsed := time.Since(start)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name(), err)
			}
			if n != set.len {
				return fmt.Errorf("%s handled %d of %d entries", c.name(), n, set.len)
			}
			if round > 0 { // the first round warms up
				times[i] = append(times[i], float64(elapsed.Nanoseconds())/float64(set.len))
			}
		}
	}
	raw, ours, cilium := times[0], times[1], times[2]
	fmt.Fprintf(w, "%s\t%s\t%.0f\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t\n", set, op,
		median(raw), median(ours), median(cilium),
		median(ratios(ours, raw)), median(ratios(cilium, raw)), median(ratios(cilium, ours)))
	return nil
}

func ratios(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] / b[i]
	}
	return out
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}
