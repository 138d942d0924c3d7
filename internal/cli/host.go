// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/counts"
	"github.com/bpfmap-io/bpfmap-operator/internal/cgroup"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/inventory"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/local"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/agent"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/locked"
	"github.com/bpfmap-io/bpfmap-operator/internal/footprint"
	"github.com/bpfmap-io/bpfmap-operator/internal/inuse"
	"github.com/bpfmap-io/bpfmap-operator/internal/metrics"
	"github.com/bpfmap-io/bpfmap-operator/internal/mounts"
	"github.com/bpfmap-io/bpfmap-operator/internal/nodelock"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinwatch"
	"github.com/bpfmap-io/bpfmap-operator/internal/quota"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// host is this machine as a node.
type host struct {
	// root is where this process finds the node's file system; the other paths are the node's.
	root     mounts.Root
	bpffs    string
	prefixes engine.PinPrefixes
	// network says that this process is in the node's network namespace.
	network bool
	cgroups string
	limits  quota.Limits

	mu      sync.Mutex
	backend *kernel.Backend // of the last Open
	engine  *locked.Engine  // of the last Open
	// opened is the BPF file system that the engine works on.
	opened pinstore.Identity
}

// Probe says whether maps can be managed here.
func (h *host) Probe(context.Context) error { return kernel.Preflight(h.root, h.bpffs) }

// Open is the engine over this kernel.
func (h *host) Open() (agent.Engine, error) {
	b, err := kernel.New(h.bpffs, kernel.Options{
		Root:       h.root,
		Pins:       pinstore.Options{OnWait: logWait},
		References: kernel.ReferenceOptions{NoInterfaces: !h.network, Cgroups: h.cgroups, AllowProgram: h.prefixes.Allow},
	})
	if err != nil {
		return nil, err
	}
	if err := h.open(b); err != nil {
		return nil, err
	}
	ledger := quota.New(h.limits, quota.Sources{
		Usage:   b.Usage,
		UsageOf: b.UsageOf,
		Cgroups: func() ([]quota.CgroupLimit, error) { return cgroup.Limits("/") },
	})
	e := locked.New(engine.New(b, engine.Options{AllowPin: h.prefixes.Allow, Quota: ledger}), b.Lock)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.engine = e
	return e, nil
}

// live reads the contents of the maps for people.
func (h *host) live(node string) *local.Live {
	return local.NewLive(node, h.root, h.bpffs, func() local.Planner {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.engine == nil {
			return nil
		}
		return h.engine
	})
}

// open notes which BPF file system an engine works on.
func (h *host) open(b *kernel.Backend) error {
	_ = b.Prepare() // where it can't, no map can be managed, and each says so
	now, err := b.Identity()
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.backend, h.opened = b, now
	return nil
}

// Moved says whether the BPF file system of the last Open isn't there any more, or what we kept in it.
func (h *host) Moved() (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.backend == nil {
		return false, nil
	}
	now, err := h.backend.Identity()
	if err != nil {
		return false, err
	}
	if h.opened.ReplacedBy(now) {
		return true, nil
	}
	h.opened = now // with state that the engine made meanwhile
	return false, nil
}

// WatchMounts calls changed when it begins to watch, and after something was mounted or unmounted here.
func (h *host) WatchMounts(ctx context.Context, changed func()) error {
	return mounts.Watch(ctx, changed)
}

// WatchPins calls changed after something happened to a followed pin.
func (h *host) WatchPins(ctx context.Context, followed *agent.Pins, changed func(key revision.Key, pin string)) error {
	return pinwatch.Run(ctx, h.root.Here(h.bpffs), followed, changed)
}

// PinnedMap is the id of the map at a pin; 0 if no map is there.
func (h *host) PinnedMap(pin string) (uint32, error) {
	m, err := pinstore.New(h.root.Here(h.bpffs), pinstore.Options{}).Pinned(pin)
	if err != nil || m == nil {
		return 0, err
	}
	info, err := m.Info()
	if closeErr := m.Close(); err == nil {
		err = closeErr
	}
	return info.ID, err
}

// logWait tells of a lock that another process holds for long.
func logWait(w nodelock.Wait) {
	log.Log.WithName("lock").Info("Waiting for a lock that another process or another map's work holds", "lock", w.For, "waited", w.Waited.Round(time.Second).String())
}

// Facts are what this machine is. Without the capability to try them, there are no features.
func (h *host) Facts() (agent.Facts, error) {
	release, err := readLine("/proc/sys/kernel/osrelease")
	if err != nil {
		return agent.Facts{}, fmt.Errorf("read the kernel's release: %w", err)
	}
	boot, err := readLine("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return agent.Facts{}, fmt.Errorf("read the boot id: %w", err)
	}
	cpus, err := bpf.PossibleCPUs()
	if err != nil {
		return agent.Facts{}, err
	}
	facts := agent.Facts{KernelRelease: release, BootID: boot, PossibleCPUs: int32(cpus), MemoryLimitBytes: h.limits.Node}
	if features, err := bpf.Features(); err == nil {
		facts.Features = slices.Concat(features, counts.Features())
		slices.Sort(facts.Features)
	}
	return facts, nil
}

// SystemCalls is how often this process has called bpf(2).
func (h *host) SystemCalls() uint64 { return bpf.SystemCalls() }

// receiveBuffer is how many bytes of changes of interfaces the kernel keeps for a watch that is slow to read
// them, as far as net.core.rmem_max allows. When it is full, the watch ends.
const receiveBuffer = 1 << 20

// WatchInterfaces calls changed when it begins to watch, and after interfaces came, went or changed.
func (h *host) WatchInterfaces(ctx context.Context, changed func()) error {
	if !h.network {
		return agent.ErrNotWatched
	}
	watch, end := context.WithCancel(ctx)
	defer end() // closes the socket of a watch that ended by itself
	updates := make(chan netlink.LinkUpdate, 64)
	var last error // the library calls back before it closes updates
	err := netlink.LinkSubscribeWithOptions(updates, watch.Done(), netlink.LinkSubscribeOptions{
		ReceiveBufferSize: receiveBuffer,
		ErrorCallback: func(err error) {
			last = err
			changed() // one that couldn't be read is a change, too
		},
	})
	if err != nil {
		return fmt.Errorf("subscribe to network interfaces: %w", err)
	}
	changed()
	for range updates {
		changed()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("watch network interfaces: %w", cmp.Or(last, errEnded))
}

// errEnded is the error of a watch that ended without one.
var errEnded = errors.New("the subscription ended")

// Programs are all programs and maps of this machine.
func (h *host) Programs(ctx context.Context) (*inuse.Inventory, error) { return kernel.Programs(ctx) }

// readMap streams the elements of a managed map for metrics.
func (h *host) readMap(ctx context.Context, key revision.Key, shape revision.Shape, locked bool, yield func(keys, values []byte)) error {
	h.mu.Lock()
	b := h.backend
	h.mu.Unlock()
	if b == nil {
		return errNotOpened
	}
	err := b.ReadMap(ctx, key, shape, locked, yield)
	if errors.Is(err, kernel.ErrIncomplete) {
		return fmt.Errorf("%w: %w", metrics.ErrChanging, err)
	}
	return err
}

var errNotOpened = errors.New("the BPF file system isn't open yet")

// Inventory counts all maps of this machine.
func (h *host) Inventory() (v1alpha1.NodeInventory, error) {
	found, err := inventory.Read(context.Background(), h.root, h.bpffs)
	if err == nil {
		err = found.Limited
	}
	if err != nil {
		return v1alpha1.NodeInventory{}, fmt.Errorf("count all maps: %w", err)
	}
	return summarize(found.Maps, filepath.Join(h.bpffs, revision.PinRoot)+"/"), nil
}

// summarize counts maps, and lists those pinned below root that belong to nobody.
func summarize(maps []inventory.Map, root string) v1alpha1.NodeInventory {
	var total v1alpha1.NodeInventory
	for i := range maps {
		m := &maps[i]
		total.Maps++
		total.MemlockBytes += int64(m.Memlock)
		if len(m.Pins) > 0 {
			total.Pinned++
		}
		if m.Owner != "" {
			if !m.Record {
				total.Managed++
			}
			continue
		}
		for _, pin := range m.Pins {
			if strings.HasPrefix(pin, root) {
				total.Orphans = append(total.Orphans, v1alpha1.OrphanMap{
					PinPath: pin, MapID: int64(m.ID), Type: m.Type.String(), MemlockBytes: int64(m.Memlock),
				})
				break
			}
		}
	}
	total.Memory = footprint.Format(total.MemlockBytes)
	total.OrphanCount = int32(len(total.Orphans))
	slices.SortFunc(total.Orphans, func(a, b v1alpha1.OrphanMap) int { return strings.Compare(a.PinPath, b.PinPath) })
	total.Orphans = total.Orphans[:min(len(total.Orphans), v1alpha1.MaxOrphans)]
	return total
}

func readLine(path string) (string, error) {
	text, err := os.ReadFile(path)
	return strings.TrimSpace(string(text)), err
}
