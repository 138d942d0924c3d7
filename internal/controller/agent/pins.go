// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinwatch"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// PinWatcher is the part of a Host that tells of pins.
type PinWatcher interface {
	// WatchPins calls changed after something happened to a followed pin, until ctx ends; pins that are watched from
	// now on, and those that this process changes itself, are told, too. An error says why the watch ended before
	// ctx; ErrNotWatched says that there is nothing to watch. changed
	// doesn't block.
	WatchPins(ctx context.Context, followed *Pins, changed func(key revision.Key, pin string)) error
	// PinnedMap is the id of the map at a pin, by its path relative to the BPF file system; 0 if no map is there.
	PinnedMap(pin string) (uint32, error)
}

// Pins are the pins that maps depend on: their own, and those of the programs in them.
type Pins = pinwatch.Followed[revision.Key]

// pinsOf are the pins that a map of a revision depends on.
func pinsOf(spec *v1alpha1.BPFMapRevisionSpec) []string {
	pins := []string{spec.Pin.Path}
	for _, r := range spec.References {
		if r.Type == v1alpha1.TypeProgPin {
			pins = append(pins, r.Name)
		}
	}
	return pins
}

// followPins lets a map be compared again as soon as its pin, or that of a program in it, became another one. A
// watch that is started again tells of all pins, since nobody knows what was missed.
func (a *Agent) followPins(ctx context.Context) error {
	watch := func(ctx context.Context, _ func()) error {
		return a.host.WatchPins(ctx, a.reconciler.pins, a.onPin)
	}
	keepWatching(ctx, "pins", watch, nil)
	return nil
}

// onPin lets a map be compared again if what happened at a pin isn't what this agent did itself: publishing a map
// makes a pin, too. A map that failed may have made and removed pins on the way, and waits longer each time.
func (a *Agent) onPin(key revision.Key, pin string) {
	m, _ := a.state.mapOf(key)
	if m.State == v1alpha1.NodeMapReady && strings.HasSuffix(m.PinPath, "/"+pin) {
		if id, err := a.host.PinnedMap(pin); err == nil && int64(id) == m.MapID {
			return
		}
	}
	a.reconciler.programs.want() // whoever changed it may have loaded programs
	a.queue.checks.forget(key)
	if m.State == v1alpha1.NodeMapFailed {
		a.queue.addLater(types.NamespacedName(key))
		return
	}
	a.queue.add(types.NamespacedName(key))
}
