// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package histories

import (
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// histories is how many are played unless FLEET_HISTORIES says so, and players how many at a time.
const (
	histories = 10_000
	players   = 4
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

func number(t *testing.T, name string, unset uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return unset
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestHistories plays FLEET_HISTORIES histories, or the one of FLEET_SEED with its log.
func TestHistories(t *testing.T) {
	if os.Getenv("FLEET_SEED") != "" {
		seed := number(t, "FLEET_SEED", 0)
		if message, log := play(t, seed, true); message != "" {
			t.Errorf("%s\n%s", log, message)
		} else {
			t.Log(log)
		}
		return
	}
	n := number(t, "FLEET_HISTORIES", histories)
	var next, failed atomic.Uint64
	for i := range players {
		t.Run(fmt.Sprint("player ", i), func(t *testing.T) {
			t.Parallel()
			for {
				seed := next.Add(1)
				if seed > n || failed.Load() >= 5 {
					return
				}
				if message, _ := play(t, seed, false); message != "" {
					failed.Add(1)
					t.Errorf("history %d: %s\nIts log: FLEET_SEED=%d go test -v -run TestHistories ./internal/controller/histories", seed, message, seed)
				}
			}
		})
	}
}

// play plays the history of a seed, and says what was violated.
func play(t *testing.T, seed uint64, verbose bool) (message, log string) {
	synctest.Test(t, func(t *testing.T) {
		var w *world
		defer func() {
			if caught := recover(); caught != nil {
				v, ok := caught.(violation)
				if !ok {
					panic(fmt.Sprintf("history %d: %v", seed, caught))
				}
				message = v.message
			}
			for _, line := range w.log {
				log += line + "\n"
			}
			for _, p := range w.procs() {
				p.die()
			}
		}()
		w = newWorld(t, seed, verbose)
		for range 1 + w.rand.IntN(3) {
			w.createMap()
		}
		for range 30 + w.rand.IntN(60) {
			w.step()
		}
		w.logf("-- the history ends")
		w.rest()
		w.checkRest(false)
		w.logf("-- everything is mended")
		w.mend()
		w.rest()
		w.checkRest(true)
	})
	return message, log
}

// step is one thing that happens.
func (w *world) step() {
	switch n := w.rand.IntN(100); {
	case n < 30:
		w.someProcess()
	case n < 55: // progress
		for range 1 + w.rand.IntN(12) {
			w.someProcess()
		}
	case n < 70:
		w.people()
	case n < 78:
		d := []time.Duration{3 * time.Second, 11 * time.Second, 70 * time.Second, 21 * time.Minute}[w.rand.IntN(4)]
		w.logf("%s pass", d)
		w.pass(d)
	case n < 85:
		w.restartAgent(pickOne(w, w.nodes))
	case n < 90:
		w.restartController()
	case n < 98:
		p := pickOne(w, w.procs())
		p.next, p.skip = pickOne(w, []fault{lost, late, dies}), w.rand.IntN(4)
		w.logf("%s: a write will be %s", p.name, p.next)
	default:
		w.settleSome()
	}
	w.revive(w.aged)
}

func (w *world) settleSome() {
	calm := w.calm
	w.calm = true
	w.logf("all settle")
	w.settle()
	w.calm = calm
}

// restartAgent ends a node's agent and starts another one, whose views may be old. Sometimes the node boots.
func (w *world) restartAgent(n *node) {
	if w.one(4) {
		n.dieAt = w.rand.IntN(12)
	}
	if w.one(5) {
		w.logf("node %s boots", n.name)
		n.memory.Wipe()
		n.boot++
		clear(n.holds)
		clear(n.removed)
		clear(n.boots)
	}
	w.logf("the agent of %s restarts", n.name)
	w.startAgent(n, w.aged)
}

// restartController starts a leader whose views may be old. The former one is gone, or doesn't know yet that
// it is no leader any more.
func (w *world) restartController() {
	if w.one(2) && !w.leader.dead {
		w.logf("another leader, and the old one goes on")
		w.old = append(w.old, oldLeader{w.leader, w.clock.Add(leaderOverlap)})
		w.leader.name = "old controller"
	} else {
		w.logf("the controller restarts")
		w.leader.die()
	}
	w.leader = w.startController(w.aged)
}

// revive starts again what died.
func (w *world) revive(version func(string) int) {
	if w.leader.dead {
		w.starts++
		w.logf("the controller is started again")
		w.leader = w.startController(version)
	}
	for _, n := range w.nodes {
		if n.agent.dead {
			w.starts++
			w.logf("the agent of %s is started again", n.name)
			w.startAgent(n, version)
		}
	}
}
