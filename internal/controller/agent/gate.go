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

// How often the host is probed: soon while people may be mending it, seldom while it works.
const (
	probeMending = 5 * time.Second
	probeReady   = time.Minute
)

// gate lets work through while the host is ready for it.
type gate struct {
	host Host
	// changed is called when the host became ready, or its reason changed.
	changed func(ctx context.Context, err error)
	suspect chan struct{}

	mu     sync.Mutex
	engine Engine
	err    error
}

// errNotProbed is the state before the first probe.
var errNotProbed = &engine.Error{ReasonCode: v1alpha1.NodeReasonNodeNotReady, Err: errors.New("the node is being looked at")}

func newGate(host Host, changed func(context.Context, error)) *gate {
	return &gate{host: host, changed: changed, suspect: make(chan struct{}, 1), err: errNotProbed}
}

// current is the engine, or why there is none.
func (g *gate) current() (Engine, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return nil, g.err
	}
	return g.engine, nil
}

// lookAgain asks for a probe now, for example because an operation failed.
func (g *gate) lookAgain() {
	select {
	case g.suspect <- struct{}{}:
	default: // one is asked for already
	}
}

// Start probes until ctx ends.
func (g *gate) Start(ctx context.Context) error {
	for {
		pause := probeReady
		if g.probe(ctx) != nil {
			pause = probeMending
		}
		select {
		case <-ctx.Done():
			return nil
		case <-g.suspect:
		case <-time.After(pause):
		}
	}
}

func (g *gate) probe(ctx context.Context) error {
	err := g.host.Probe(ctx)
	g.mu.Lock()
	if err == nil && g.engine == nil {
		g.engine, err = g.host.Open()
	}
	before := g.err
	g.err = err
	g.mu.Unlock()
	if text(before) != text(err) {
		if err != nil {
			log.FromContext(ctx).Error(err, "Node is not ready")
		} else {
			log.FromContext(ctx).Info("Node is ready")
		}
		g.changed(ctx, err)
	}
	return err
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
