// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
)

// How often the host is probed: often while it isn't ready, because people may be repairing it, and seldom
// while it is.
const (
	probeNotReady = 5 * time.Second
	probeReady    = time.Minute
)

// nodeReadiness knows whether maps can be managed on the host. It is safe for concurrent use; run is to be
// called once.
type nodeReadiness struct {
	host   Host
	probe  chan struct{} // holds a request to probe now
	looked chan struct{} // closed once onChange was told of the first probe
	// onLooked closes looked; it may be called again.
	onLooked func()

	mu     sync.Mutex
	engine Engine
	err    error
}

// errNotProbed is the state before the first probe.
var errNotProbed = &engine.Error{ReasonCode: v1alpha1.NodeReasonNodeNotReady, Err: errors.New("node not probed yet")}

func newNodeReadiness(host Host) *nodeReadiness {
	looked := make(chan struct{})
	return &nodeReadiness{
		host: host, probe: make(chan struct{}, 1), looked: looked, onLooked: sync.OnceFunc(func() { close(looked) }), err: errNotProbed,
	}
}

// current is the engine, or why there is none.
func (r *nodeReadiness) current() (Engine, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return nil, r.err
	}
	return r.engine, nil
}

// recheck asks for a probe now, for example because an operation failed. It doesn't wait for it.
func (r *nodeReadiness) recheck() {
	select {
	case r.probe <- struct{}{}:
	default: // one has been asked for already
	}
}

// settleMounts is how long after a change of mounts the host is probed: what is mounted anew is unmounted first.
const settleMounts = 100 * time.Millisecond

// run probes until ctx ends: from time to time, and when it was asked for. onChange is called when the host became
// ready, or the reason why it isn't changed.
func (r *nodeReadiness) run(ctx context.Context, onChange func(ctx context.Context, err error)) {
	for {
		err := r.lookAndTell(ctx, onChange)
		if ctx.Err() != nil {
			return
		}
		pause := probeReady
		if err != nil {
			pause = probeNotReady
		}
		select {
		case <-ctx.Done():
			return
		case <-r.probe:
		case <-time.After(pause):
		}
	}
}

// lookAndTell probes once, and calls onChange if the result is another one than before.
func (r *nodeReadiness) lookAndTell(ctx context.Context, onChange func(ctx context.Context, err error)) error {
	changed, err := r.look(ctx)
	if ctx.Err() != nil {
		return ctx.Err() // a probe that was interrupted says nothing about the host
	}
	if changed {
		onChange(ctx, err)
	}
	r.onLooked()
	return err
}

// watchMounts asks for a probe when something was mounted or unmounted, until ctx ends.
func (r *nodeReadiness) watchMounts(ctx context.Context) error {
	keepWatching(ctx, "mounts", r.host.WatchMounts, func() { time.AfterFunc(settleMounts, r.recheck) })
	return nil
}

// look probes once, opens the engine of a host that is ready, and says whether the result is another one than
// before: also if it is ready as before, and another BPF file system is mounted.
func (r *nodeReadiness) look(ctx context.Context) (changed bool, err error) {
	err = r.host.Probe(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	moved := false
	if err == nil {
		moved, err = r.open()
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	before := r.err
	r.err = err
	changed = errText(before) != errText(err)
	l := log.FromContext(ctx)
	switch {
	case moved:
		l.Info("The BPF file system was mounted anew or emptied; all maps are looked at")
	case !changed:
	case err != nil:
		l.Error(err, "Node is not ready")
	default:
		l.Info("Node is ready")
	}
	return changed || moved, err
}

// open opens the engine if there is none, or the one there is works on what is gone. The lock is held.
func (r *nodeReadiness) open() (moved bool, err error) {
	if r.engine != nil {
		if moved, err = r.host.Moved(); err != nil || !moved {
			return false, err
		}
	}
	e, err := r.host.Open()
	if err != nil {
		return false, err
	}
	r.engine = e
	return moved, nil
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
