// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package contents

import (
	"fmt"
	"sync"
)

// The bounds of what a node does at a time.
const (
	// MaxRequests is how many questions a node answers at a time, MaxOfCaller how many of one user.
	MaxRequests = 16
	MaxOfCaller = 4
)

// gate counts what is being answered. It is safe for concurrent use.
type gate struct {
	mu  sync.Mutex
	all int
	of  map[string]int
}

// enter takes one of the node's places, and is left with leave.
func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all >= MaxRequests {
		return fmt.Errorf("%w: this node answers %d questions about contents at a time: try again in a moment", errBusy, MaxRequests)
	}
	g.all++
	return nil
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all--
}

// admit takes one of the user's places, and is left with dismiss.
func (g *gate) admit(user string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.of[user] >= MaxOfCaller {
		return fmt.Errorf("%w: this node answers %d questions of a user at a time: wait for those that user %q has asked", errBusy, MaxOfCaller, user)
	}
	if g.of == nil {
		g.of = map[string]int{}
	}
	g.of[user]++
	return nil
}

func (g *gate) dismiss(user string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.of[user]--; g.of[user] <= 0 {
		delete(g.of, user)
	}
}
