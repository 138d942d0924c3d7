// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/inuse"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Host is the node that the agent runs on.
type Host interface {
	// Probe says whether maps can be managed here. Its errors are engine.Reasoners with the reasons
	// of a BPFNodeState's condition Ready; their messages say what to do.
	Probe(ctx context.Context) error
	// Open is the engine of a host whose Probe succeeded. It may be called again.
	Open() (Engine, error)
	// Moved says whether another BPF file system is mounted than at the last Open, or what the engine kept there
	// is gone: another engine is needed.
	Moved() (bool, error)
	// Facts are what the agent reports of the host besides its maps.
	Facts() (Facts, error)
	// SystemCalls is how many system calls the engine has made.
	SystemCalls() uint64
	InterfaceWatcher
	PinWatcher
	// WatchMounts calls changed when it begins to watch, and after something was mounted or unmounted where this
	// process looks, until ctx ends. An error says why it ended before. changed doesn't block.
	WatchMounts(ctx context.Context, changed func()) error
	// Programs are all programs and maps of the host's kernel at about one time. The error is engine.ErrUnknown where
	// this process may not ask: that needs CAP_BPF with CAP_PERFMON, or CAP_SYS_ADMIN.
	Programs(ctx context.Context) (*inuse.Inventory, error)
	// Inventory counts all maps of the host's kernel. It needs CAP_SYS_ADMIN.
	Inventory() (v1alpha1.NodeInventory, error)
}

// Engine is engine.Engine.
type Engine interface {
	Sync(ctx context.Context, rev *revision.Revision) engine.Report
	SyncMember(ctx context.Context, rev *revision.Revision) (r engine.Report, alone bool)
	SyncGroup(ctx context.Context, members []engine.Member) []engine.Report
	Remove(ctx context.Context, key revision.Key) engine.Report
	Records(ctx context.Context) ([]engine.Record, error)
	Unblocked() []revision.Key
}

// Facts are what doesn't change while a node runs.
type Facts struct {
	KernelRelease, BootID string
	PossibleCPUs          int32
	// Features are sorted; empty while the host isn't ready.
	Features []string
	// MemoryLimitBytes is for all maps of the node together; 0 is no limit.
	MemoryLimitBytes int64
}
