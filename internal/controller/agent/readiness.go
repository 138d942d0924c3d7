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
	host  Host
	probe chan struct{} // holds a request to probe now

	mu     sync.Mutex
	engine Engine
	err    error
}

// errNotProbed is the state before the first probe.
var errNotProbed = &engine.Error{ReasonCode: v1alpha1.NodeReasonNodeNotReady, Err: errors.New("node not probed yet")}

func newNodeReadiness(host Host) *nodeReadiness {
	return &nodeReadiness{host: host, probe: make(chan struct{}, 1), err: errNotProbed}
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

// run probes until ctx ends. onChange is called when the host became ready, or the reason why it isn't
// changed.
func (r *nodeReadiness) run(ctx context.Context, onChange func(ctx context.Context, err error)) {
	for {
		changed, err := r.look(ctx)
		if ctx.Err() != nil {
			return // a probe that was interrupted says nothing about the host
		}
		if changed {
			onChange(ctx, err)
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

// look probes once, opens the engine of a host that is ready for the first time, and says whether the
// result is another one than before.
func (r *nodeReadiness) look(ctx context.Context) (changed bool, err error) {
	err = r.host.Probe(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && r.engine == nil {
		r.engine, err = r.host.Open()
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	before := r.err
	r.err = err
	if text(before) == text(err) {
		return false, err
	}
	if err != nil {
		log.FromContext(ctx).Error(err, "Node is not ready")
	} else {
		log.FromContext(ctx).Info("Node is ready")
	}
	return true, err
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
