// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"
)

// inventory counts all maps of the node from time to time. What it finds is published with the rest of
// the state, and only if it changed.
type inventory struct {
	host   Host
	period time.Duration
	state  *nodeState
}

// Start counts until ctx ends. A failure is logged when it begins: the maps that are managed don't
// depend on it.
func (i *inventory) Start(ctx context.Context) error {
	failing := ""
	for {
		total, err := i.host.Inventory()
		switch {
		case err == nil:
			i.state.setInventory(total)
		case err.Error() != failing:
			log.FromContext(ctx).Error(err, "Inventory of the node failed")
		}
		failing = errText(err)
		if !sleep(ctx, jitter(i.period)) {
			return nil
		}
	}
}
