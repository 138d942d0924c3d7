// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel_test

import (
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// needs is the release that brought what a shape asks for.
func needs(t *testing.T, s revision.Shape) maptype.Kernel {
	t.Helper()
	typ := maptype.ByName(string(s.Type))
	since := typ.Since
	for _, name := range s.Flags {
		flag, ok := maptype.FlagByName(string(name))
		if !ok {
			t.Fatalf("no flag %s", name)
		}
		if f := typ.FlagSince(flag); since.Before(f) {
			since = f
		}
	}
	return since
}

// isTooNew says whether this kernel lacks what a shape asks for.
func isTooNew(t *testing.T, s revision.Shape) bool {
	t.Helper()
	return bpftest.Kernel(t).Before(needs(t, s))
}

// wantTooNew wants a report to say that this kernel lacks what the shape asks for, and which one has it.
func wantTooNew(t *testing.T, s revision.Shape, report engine.Report) {
	t.Helper()
	if report.State != v1alpha1.NodeMapStalled || report.Reason != v1alpha1.NodeReasonNotSupported || report.MapID != 0 ||
		!strings.Contains(report.Message, needs(t, s).String()) || !strings.Contains(report.Message, "spec.nodeSelector") {
		t.Errorf("%s on %s: %s (%s), map %d: %s; want it to name %s", s.Type, bpftest.Kernel(t), report.State, report.Reason, report.MapID, report.Message, needs(t, s))
	}
}
