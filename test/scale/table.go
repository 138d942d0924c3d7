// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Table is figures in Markdown, phase by phase and in each by size, with what a size costs compared with the
// one before.
func Table(all []Figures) string {
	var b strings.Builder
	b.WriteString("| phase | nodes | agents | events per node | bytes per node | bytes to all | chunks read | refused | controller CPU s | growth | its peak MiB | API server CPU s | growth | its peak MiB | to 99 % s | s | requests | writes |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	var titles []string
	for _, f := range all {
		if !slices.Contains(titles, f.Phase) {
			titles = append(titles, f.Phase)
		}
	}
	for _, title := range titles {
		var before *Figures
		for i := range all {
			if f := &all[i]; f.Phase == title {
				f.row(&b, before)
				before = f
			}
		}
	}
	return b.String()
}

func (f *Figures) row(b *strings.Builder, before *Figures) {
	agents := "real"
	if f.Thin {
		agents = "thin"
	}
	var growth [2]string
	if before != nil {
		growth = [2]string{f.growth(f.Controller, before.Controller, before), f.growth(f.APIServer, before.APIServer, before)}
	}
	fmt.Fprintf(b, "| %s | %d | %s | %d | %d | %s | %d | %d | %.2f | %s | %d | %.1f | %s | %d | %s | %.1f | %s | %s |\n",
		f.Phase, f.Nodes, agents, f.EventsPerNode, f.BytesPerNode, megabytes(f.BytesToAll), f.ChunkReads, f.Refused,
		f.Controller.Seconds(), growth[0], f.ControllerPeak>>20, f.APIServer.Seconds(), growth[1], f.APIServerPeak>>20,
		seconds(f.ToMost), f.Took.Seconds(), counts(f.Requests), counts(f.Writes))
}

// growth compares what a cluster takes with what the one before took.
func (f *Figures) growth(now, was time.Duration, before *Figures) string {
	const least = 50 * time.Millisecond // below that the kernel's clock of CPU time says little
	if was < least || now < least || f.Nodes == before.Nodes {
		return ""
	}
	return fmt.Sprintf("×%.1f for ×%.1f", now.Seconds()/was.Seconds(), float64(f.Nodes)/float64(before.Nodes))
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

func seconds(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f", d.Seconds())
}

func counts(m map[string]int64) string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(list, ", ")
}
