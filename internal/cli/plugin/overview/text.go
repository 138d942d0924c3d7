// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package overview

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// maxNamed is how many nodes of a group are named, unless all are asked for.
const maxNamed = 8

// Write writes the overview for people. all names every node, and conditions that are as they should be.
func (o *Overview) Write(out *terminal.Output, now time.Time, all bool) error {
	o.head(out)
	if err := o.conditions(out, now, all); err != nil {
		return err
	}
	o.rollout(out, now)
	o.sources(out, now)
	if err := o.nodes(out, all); err != nil {
		return err
	}
	o.next(out)
	return out.Flush()
}

func (o *Overview) head(out *terminal.Output) {
	out.Printf("BPFMap %s/%s: ", o.Namespace, o.Name)
	if ready := o.Ready(); ready != nil {
		_ = out.Styled(style(ready), says(ready))
		out.Printf("\n")
		out.Paragraph(terminal.Plain, "  %s", terminal.Sanitize(ready.Message))
	} else {
		out.Printf("the controller hasn't written a status yet\n")
	}
	if o.Behind && o.Ready() != nil {
		out.Paragraph(terminal.Plain, "  the controller hasn't seen the newest spec yet: what follows is about the one before")
	}
	out.Printf("  %s", o.Type)
	if o.Entries != nil {
		out.Printf(", %s", text.Count(*o.Entries, "entry", "entries"))
		if o.MaxEntries > 0 {
			out.Printf(" of %d", o.MaxEntries)
		}
	}
	if o.Pin != "" {
		out.Printf(", pin %s", terminal.Sanitize(o.Pin))
	}
	out.Printf("\n")
	if o.UpdateRevision != "" {
		out.Printf("  newest revision %s", o.UpdateRevision)
		if o.CurrentRevision != "" && o.CurrentRevision != o.UpdateRevision {
			out.Printf(", the one before it %s", o.CurrentRevision)
		}
		out.Printf("\n")
	}
}

// says is "Ready", or why not.
func says(c *Condition) string {
	switch c.Status {
	case metav1.ConditionTrue:
		if c.Reason != v1alpha1.ReasonReady {
			return "Ready (" + c.Reason + ")"
		}
		return "Ready"
	case metav1.ConditionUnknown:
		return "not known (" + c.Reason + ")"
	}
	return "not Ready (" + c.Reason + ")"
}

func style(c *Condition) terminal.Style {
	switch {
	case c.IsFine:
		return terminal.Green
	case c.Status == metav1.ConditionUnknown:
		return terminal.Yellow
	}
	return terminal.Red
}

func (o *Overview) conditions(out *terminal.Output, now time.Time, all bool) error {
	t := terminal.Table{Columns: []terminal.Column{{Title: "CONDITION"}, {Title: "STATUS"}, {Title: "REASON"}, {Title: "SINCE"}, {Title: "MESSAGE", Shrink: 1, Fold: true}}}
	for i := range o.Conditions {
		c := &o.Conditions[i]
		message := c.Message
		if c.Type == v1alpha1.ConditionReady { // it stands above
			message = ""
		}
		if all || !c.IsFine || c.Type == v1alpha1.ConditionReady || c.Type == v1alpha1.ConditionAccepted {
			t.Row(c.Type, terminal.Cell{Text: string(c.Status), Style: style(c)}, c.Reason, Age(&c.Since, now), message)
		}
	}
	if t.Len() == 0 {
		return nil
	}
	out.Printf("\n")
	return t.Write(out)
}

func (o *Overview) rollout(out *terminal.Output, now time.Time) {
	r := o.Rollout
	if r == nil || r.Phase == "" {
		return
	}
	line := "ROLLOUT  " + r.Phase
	if r.Reason != "" {
		line += " (" + r.Reason + ")"
	}
	if r.Since != nil && r.Phase != "Complete" {
		line += " for " + Age(r.Since, now)
	}
	if r.Phase != "Complete" && r.Batches > 0 {
		line += fmt.Sprintf(", batch %d", r.Batches)
	}
	out.Paragraph(terminal.Plain, "\n%s, revision %s: %s", line, r.Revision, terminal.Sanitize(r.Message))
	if o.RollbackTo != "" {
		out.Paragraph(terminal.Plain, "  contents of revision %s (spec.rollbackTo): edits of entries have no effect", terminal.Sanitize(o.RollbackTo))
	}
}

func (o *Overview) sources(out *terminal.Output, now time.Time) {
	for i := range o.Sources {
		s := &o.Sources[i]
		if i == 0 {
			out.Printf("\nSOURCES\n")
		}
		line := fmt.Sprintf("  [%d] %s: %s", s.Index, terminal.Sanitize(s.Name), text.Count(s.Entries, "entry", "entries"))
		for _, left := range s.LeftOut {
			line += fmt.Sprintf(", %d left out (%s)", left.Count, left.Reason)
		}
		if s.LastGoodTime != nil {
			line += fmt.Sprintf(", read %s ago", Age(s.LastGoodTime, now))
		}
		if s.NextFetchTime != nil {
			line += fmt.Sprintf(", fetched again in %s", Age(&metav1.Time{Time: now.Add(-s.NextFetchTime.Sub(now))}, now))
		}
		out.Paragraph(terminal.Plain, "%s", line)
		if s.Message != "" {
			out.Paragraph(terminal.Yellow, "      %s", terminal.Sanitize(s.Message))
		}
	}
}

func (o *Overview) nodes(out *terminal.Output, all bool) error {
	out.Printf("\nNODES  %s\n", o.counts())
	if len(o.Groups) == 0 {
		return nil
	}
	t := terminal.Table{Columns: []terminal.Column{{Title: "STATE"}, {Title: "REASON"}, {Title: "COUNT", Right: true}, {Title: "REVISION"}, {Title: "NODES", Shrink: 1, Fold: true}}}
	for i := range o.Groups {
		g := &o.Groups[i]
		t.Row(terminal.Cell{Text: g.State, Style: stateStyle(g.State)}, g.Reason, len(g.Nodes), strings.Join(g.Revisions, ","), named(g.Nodes, all))
	}
	if err := t.Write(out); err != nil {
		return err
	}
	for i := range o.Groups {
		if g := &o.Groups[i]; g.Message != "" {
			out.Paragraph(terminal.Plain, "  %s: %s", named(g.Nodes, all), terminal.Sanitize(g.Message))
		}
	}
	if o.Unlisted > 0 {
		out.Paragraph(terminal.Plain, "  and %s that the status doesn't list: reading bpfnodestates would show them", text.Count(o.Unlisted, "more node", "more nodes"))
	}
	return nil
}

func stateStyle(state string) terminal.Style {
	switch state {
	case string(v1alpha1.NodeMapReady):
		return terminal.Green
	case string(v1alpha1.NodeMapPending), Unknown:
		return terminal.Yellow
	}
	return terminal.Red
}

// counts is "2 of 3 ready, 2 updated, 1 failed".
func (o *Overview) counts() string {
	n := &o.Nodes
	s := fmt.Sprintf("%d of %d ready, %d updated", n.Ready, n.Desired, n.Updated)
	for _, c := range []struct {
		n    int32
		what string
	}{{n.Failed, "failed"}, {n.Pending, "pending"}, {n.Unknown, "unknown"}, {n.WithoutAgent, "selected without an agent"}} {
		if c.n > 0 {
			s += fmt.Sprintf(", %d %s", c.n, c.what)
		}
	}
	return s
}

// named is "node-a, node-b", and of many the first ones.
func named(nodes []string, all bool) string {
	if more := len(nodes) - maxNamed; more > 0 && !all {
		return strings.Join(nodes[:maxNamed], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(nodes, ", ")
}

func (o *Overview) next(out *terminal.Output) {
	for i, s := range o.Next {
		if i == 0 {
			out.Printf("\nWHAT TO DO\n")
		}
		out.Paragraph(terminal.Plain, "  %s: %s", s.Reason, strings.ReplaceAll(s.Means, "`", ""))
		out.Paragraph(terminal.Plain, "    → %s", strings.ReplaceAll(s.Do, "`", ""))
	}
}
