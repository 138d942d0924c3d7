// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/inuse"
)

const (
	// settlePrograms is how long a look waits after something that makes it worth while: a loader isn't done yet.
	// There is no more than one look in this time.
	settlePrograms = 3 * time.Second
	// confirmPrograms is when a look is followed by another one that is to agree with it.
	confirmPrograms = 5 * time.Second
)

// errMayNotLook is what people read where an agent hasn't the right to look.
var errMayNotLook = errors.New("the agent may not look at the node's programs: that needs the capability PERFMON (agent.usage.enabled)")

// programs looks from time to time, and after maps or pins changed, which programs use the node's maps. One look at
// all programs and maps serves all maps. What follows is published with the rest of the state, and only if it changed.
type programs struct {
	host   Host
	period time.Duration
	state  *nodeState
	seeded <-chan struct{}
	// wanted holds a value after something that makes a look worth while.
	wanted chan struct{}

	// Only the one look at a time uses these.
	tracker inuse.Tracker
	failing string
}

func newPrograms(host Host, period time.Duration, state *nodeState, seeded <-chan struct{}) *programs {
	return &programs{host: host, period: period, state: state, seeded: seeded, wanted: make(chan struct{}, 1)}
}

// want lets the next look come soon. It doesn't block.
func (p *programs) want() {
	select {
	case p.wanted <- struct{}{}:
	default: // a look is to come
	}
}

// Start looks until ctx ends.
func (p *programs) Start(ctx context.Context) error {
	select {
	case <-p.seeded: // what an earlier agent told is known
	case <-ctx.Done():
		return nil
	}
	for {
		pause := jitter(p.period)
		if p.look(ctx, time.Now()) {
			pause = min(pause, jitter(confirmPrograms))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-p.wanted:
			if !sleep(ctx, jitter(settlePrograms)) {
				return nil
			}
			select {
			case <-p.wanted: // it came while this one waited
			default:
			}
		case <-time.After(pause):
		}
	}
}

// look looks once, if there are any maps, and says whether another look soon would settle what this one saw first.
func (p *programs) look(ctx context.Context, now time.Time) (again bool) {
	var found *inuse.Inventory
	var err error
	maps := p.state.snapshot()
	if len(maps) > 0 {
		found, err = p.host.Programs(ctx)
	}
	if ctx.Err() != nil {
		return false
	}
	switch {
	case errors.Is(err, engine.ErrUnknown):
		err = errMayNotLook
	case err != nil && err.Error() != p.failing:
		log.FromContext(ctx).Error(err, "The node's programs can't be looked at")
	}
	p.failing = errText(err)
	news, again := p.tracker.Update(maps, found, err, now)
	p.state.setUsage(maps, news)
	return again
}
