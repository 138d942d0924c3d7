// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// settleInterfaces is how long changes of interfaces are collected: a new one changes several times.
const settleInterfaces = 100 * time.Millisecond

// A watch of interfaces that ended is started again after firstRewatch, and later and later up to
// lastRewatch while it keeps ending. One that lasted for lastRewatch counts as working.
const (
	firstRewatch = 100 * time.Millisecond
	lastRewatch  = 30 * time.Second
)

// ErrNotWatched is the error of WatchInterfaces on a host whose interfaces the agent doesn't see.
var ErrNotWatched = errors.New("the agent doesn't see the node's network interfaces")

// InterfaceWatcher is the part of a Host that FollowInterfaces needs.
type InterfaceWatcher interface {
	// WatchInterfaces calls changed after network interfaces of the node came, went or changed, until ctx
	// ends. It calls changed once when it begins to watch. An error says why it ended before ctx, after
	// which changes may have been missed; ErrNotWatched says that there is nothing to watch. changed
	// doesn't block.
	WatchInterfaces(ctx context.Context, changed func()) error
}

// FollowInterfaces calls changed after interfaces came, went or changed, until ctx ends. The kernel ends a
// watch whose reader is too slow (ENOBUFS, netlink(7)); every watch that ends is started again, and changed
// is called then, because nobody knows what was missed. Calls come one at a time, and not more often than
// every settleInterfaces.
func FollowInterfaces(ctx context.Context, host InterfaceWatcher, changed func(ctx context.Context)) {
	pending := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-pending:
			}
			if !sleep(ctx, settleInterfaces) {
				return
			}
			select {
			case <-pending: // it came while this one waited
			default:
			}
			changed(ctx)
		}
	}()
	keepWatching(ctx, "network interfaces", host.WatchInterfaces, func() {
		select {
		case pending <- struct{}{}:
		default: // a call is to come
		}
	})
	<-done
}

// keepWatching starts a watch of something again whenever it ended before ctx.
func keepWatching(ctx context.Context, what string, watch func(ctx context.Context, changed func()) error, changed func()) {
	backoff := newRewatchBackoff()
	for {
		start := time.Now()
		err := watch(ctx, changed)
		if ctx.Err() != nil || errors.Is(err, ErrNotWatched) {
			return
		}
		if time.Since(start) > lastRewatch {
			backoff = newRewatchBackoff()
		}
		pause := backoff.Step()
		log.FromContext(ctx).Info("The watch of "+what+" ended and is started again", "reason", errText(err), "pause", pause)
		if !sleep(ctx, pause) {
			return
		}
	}
}

func newRewatchBackoff() *wait.Backoff {
	return &wait.Backoff{Duration: firstRewatch, Factor: 2, Jitter: 0.1, Steps: 32, Cap: lastRewatch}
}

// sleep waits, and says whether ctx is still going on.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
