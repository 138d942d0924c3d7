// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/test/wire"
)

// TestAllArrive: without a program at the interface each packet comes through, at the port it was sent to.
func TestAllArrive(t *testing.T) {
	w := wire.New(t, "10.77.0.11", "fd77::11")
	const many = 250
	for _, client := range []string{"10.77.0.11", "fd77::11"} {
		for _, port := range []wire.Port{wire.Open, wire.Other} {
			if got := w.SendTo(t, client, port, many); got != many {
				t.Errorf("%d of %d packets from %s came through at port %d", got, many, client, port)
			}
		}
	}
	stop := w.Pour(t, "10.77.0.11")
	if got := w.Send(t, "fd77::11", many); got != many {
		t.Errorf("beside others, %d of %d packets came through", got, many)
	}
	if c := stop(); c.Sent != c.Received || c.Sent == 0 {
		t.Errorf("%v packets of a stream came through", c)
	}
}
