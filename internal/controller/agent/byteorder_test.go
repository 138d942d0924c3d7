// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// TestOtherByteOrder: a node of another byte order than the controller's says so, and writes nothing.
func TestOtherByteOrder(t *testing.T) {
	host := &memoryHost{memory: enginetest.NewMemory()}
	r := compiled(t, "table", 1, hash(1))
	other := v1alpha1.BigEndian
	if revision.NativeByteOrder() == other {
		other = v1alpha1.LittleEndian
	}
	r.Spec.ByteOrder = other
	p := newParts(t, newClient(t, nodeNamed("node"), r), "node", host)
	_, err := p.reconcile(t.Context(), "table")
	must(t, err)
	m := p.mapState("table")
	if m.State != v1alpha1.NodeMapStalled || m.Reason != v1alpha1.NodeReasonNotSupported || m.MapID != 0 ||
		!strings.Contains(m.Message, "compiled for "+string(other)+" machines") || !strings.Contains(m.Message, "spec.nodeSelector") {
		t.Errorf("%+v", m)
	}
	if pins := host.memory.Pins(); len(pins) > 0 {
		t.Errorf("pins %v", pins)
	}
}
