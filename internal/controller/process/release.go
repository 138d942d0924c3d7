// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"runtime/debug"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/bpfmap-io/bpfmap-operator/internal/programfile"
)

// settled is how long after its caches are complete a process has done what its start brings: as a rule it has reconciled
// all maps once by then.
const settled = 30 * time.Second

// release gives back, once, the memory that only the start of the process needed.
type release struct{ after time.Duration }

// NeedLeaderElection is false: a process that waits for its turn is idle, too.
func (release) NeedLeaderElection() bool { return false }

// Start returns when it is done, and nothing depends on whether it could.
func (r release) Start(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(r.after):
	}
	debug.FreeOSMemory()
	if err := programfile.Release(); err != nil {
		log.FromContext(ctx).V(1).Info("Memory that the start needed counts as used until the kernel looks for some", "reason", err.Error())
	}
	return nil
}
