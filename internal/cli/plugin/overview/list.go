// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package overview

import (
	"fmt"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
)

// WriteList writes a line for each of some maps.
func WriteList(out *terminal.Output, all []Overview, now time.Time, namespaces, wide bool) error {
	var t terminal.Table
	if namespaces {
		t.Columns = append(t.Columns, terminal.Column{Title: "NAMESPACE"})
	}
	t.Columns = append(t.Columns, terminal.Column{Title: "NAME"}, terminal.Column{Title: "STATUS"}, terminal.Column{Title: "READY", Right: true},
		terminal.Column{Title: "UPDATED", Right: true}, terminal.Column{Title: "ROLLOUT"}, terminal.Column{Title: "SINCE"})
	if wide {
		t.Columns = append(t.Columns, terminal.Column{Title: "TYPE"}, terminal.Column{Title: "ENTRIES", Right: true}, terminal.Column{Title: "REVISION"}, terminal.Column{Title: "PIN"})
	}
	t.Columns = append(t.Columns, terminal.Column{Title: "MESSAGE", Shrink: 1})
	for i := range all {
		t.Row(all[i].row(now, namespaces, wide)...)
	}
	if err := t.Write(out); err != nil {
		return err
	}
	return out.Flush()
}

func (o *Overview) row(now time.Time, namespaces, wide bool) []any {
	var cells []any
	if namespaces {
		cells = append(cells, o.Namespace)
	}
	state, age, message := terminal.Cell{Text: "-"}, "-", ""
	if ready := o.Ready(); ready != nil {
		state = terminal.Cell{Text: ready.Reason, Style: style(ready)}
		age = Age(&ready.Since, now)
		if !ready.IsFine || ready.Reason != "Ready" {
			message = ready.Message
		}
	}
	phase := "-"
	if o.Rollout != nil && o.Rollout.Phase != "" {
		phase = o.Rollout.Phase
	}
	cells = append(cells, o.Name, state, fmt.Sprintf("%d/%d", o.Nodes.Ready, o.Nodes.Desired), fmt.Sprintf("%d/%d", o.Nodes.Updated, o.Nodes.Desired), phase, age)
	if wide {
		entries := "-"
		if o.Entries != nil {
			entries = fmt.Sprint(*o.Entries)
		}
		cells = append(cells, o.Type, entries, o.UpdateRevision, o.Pin)
	}
	return append(cells, message)
}
