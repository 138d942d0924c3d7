// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
)

// appliedMap is what apply and delete did to one map, for -o json.
type appliedMap struct {
	BPFMap string `json:"bpfMap"`
	// Action is what was done: unchanged, created, adopted, configured, replaced, repaired, pruned, deleted, released (pin
	// kept), given back (pin kept), or failed.
	Action  string `json:"action"`
	DryRun  bool   `json:"dryRun,omitempty"`
	MapID   uint32 `json:"mapID,omitempty"`
	Entries *int64 `json:"entries,omitempty"`
	Frozen  bool   `json:"frozen,omitempty"`
	// Drift is what others had changed, and DriftRepaired whether that was set right.
	Drift         string `json:"drift,omitempty"`
	DriftRepaired bool   `json:"driftRepaired,omitempty"`
	Reason        string `json:"reason,omitempty"`
	Message       string `json:"message,omitempty"`
	Error         string `json:"error,omitempty"`
	// Plan is what was changed, with --plan.
	Plan *plannedMap `json:"plan,omitempty"`
}

func resultOf(r *engine.Report) appliedMap {
	a := appliedMap{
		BPFMap: r.Key.String(), Action: actionWords[r.Action], MapID: r.MapID, Entries: r.Entries, Frozen: r.Frozen,
		Reason: r.Reason, Message: r.Message,
	}
	if r.Drift != nil {
		a.Drift, a.DriftRepaired = r.Drift.Summary, r.Drift.Repaired
	}
	return a
}

// resultWriter writes what was done, as lines for people or as one document at the end.
type resultWriter struct {
	c      *cobra.Command
	output string
	maps   []appliedMap
}

// done says what was done to a map.
func (w *resultWriter) done(m appliedMap, line string) error {
	if structured.IsDocument(w.output) {
		w.maps = append(w.maps, m)
		return nil
	}
	return screen(w.c).Lines(line+"\n", func(string) terminal.Style { return doneStyles[m.Action] })
}

// doneStyles are the colours of what changes something.
var doneStyles = map[string]terminal.Style{
	"created": terminal.Green, "adopted": terminal.Green, "configured": terminal.Yellow, "replaced": terminal.Yellow,
	"repaired": terminal.Yellow, "deleted": terminal.Red, "pruned": terminal.Red,
}

// failed says why a map isn't as it should be.
func (w *resultWriter) failed(m appliedMap, details string) {
	if structured.IsDocument(w.output) {
		w.maps = append(w.maps, m)
	}
	reason := m.Reason
	if reason != "" {
		reason += ": "
	}
	printError(w.c, fmt.Errorf("bpfmap.bpfmap.io/%s: %s%s", m.BPFMap, reason, m.Error))
	w.c.PrintErr(details)
}

// showPlan writes what is changed in a map.
func (w *resultWriter) showPlan(d declared, p *plan.Plan, m *appliedMap) error {
	f, err := formattersOf(d, p)
	if err != nil {
		return err
	}
	if structured.IsDocument(w.output) {
		planned := plannedOf(d, p, f, -1)
		m.Plan = &planned
		return nil
	}
	return screen(w.c).Lines(p.Text(f.key, f.value), planStyle)
}

// end writes the document.
func (w *resultWriter) end() error {
	if !structured.IsDocument(w.output) {
		return nil
	}
	if w.maps == nil {
		w.maps = []appliedMap{}
	}
	return writeDocument(w.c, w.output, struct {
		Maps []appliedMap `json:"maps"`
	}{w.maps})
}
