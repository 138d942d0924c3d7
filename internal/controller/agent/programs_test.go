// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/inuse"
)

// programHost says which programs there are.
type programHost struct {
	fakeHost
	mu       sync.Mutex
	programs []inuse.Program
	maps     []inuse.Map
	err      error
	looks    int
}

// looked is how many looks there were.
func (h *programHost) looked() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.looks
}

func (h *programHost) Programs(context.Context) (*inuse.Inventory, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.looks++
	if h.err != nil {
		return nil, h.err
	}
	return inuse.New(h.programs, h.maps), nil
}

// use makes the host one with map 7, that programs use.
func (h *programHost) use(programs ...uint32) {
	const mapID = 7
	h.mu.Lock()
	defer h.mu.Unlock()
	h.programs, h.maps = nil, []inuse.Map{{ID: mapID, Name: "calls", Held: len(programs)}}
	for _, id := range programs {
		h.programs = append(h.programs, inuse.Program{ID: id, Name: "xdp_block", Type: "xdp", Maps: []uint32{mapID}})
	}
}

func usedMap(id int64) v1alpha1.NodeMap {
	return v1alpha1.NodeMap{Namespace: "edge", Name: "calls", UID: "one", MapID: id, State: v1alpha1.NodeMapReady}
}

func wantUsage(t *testing.T, when string, s *nodeState, state v1alpha1.MapUsageState, programs int32) {
	t.Helper()
	maps := s.snapshot()
	switch {
	case len(maps) != 1:
		t.Fatalf("%s: %d maps", when, len(maps))
	case state == "" && maps[0].Usage != nil:
		t.Errorf("%s: %+v, want none", when, maps[0].Usage)
	case state != "" && (maps[0].Usage == nil || maps[0].Usage.State != state || maps[0].Usage.ProgramCount != programs):
		t.Errorf("%s: %+v, want %s by %d programs", when, maps[0].Usage, state, programs)
	}
}

// pass lets time go by, and everybody do what is due then.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// TestPrograms looks when it is due or wanted, twice where something changed, and wakes the publisher only for news.
func TestPrograms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, state := &programHost{}, newNodeState("node", "v1", Facts{})
		state.setReady(nil, nil)
		p := newPrograms(host, 10*time.Minute, state, closed())
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.Start(ctx) }()
		synctest.Wait()
		if host.looked() != 0 {
			t.Errorf("%d looks though there are no maps", host.looked())
		}
		host.use()
		state.set(usedMap(7))
		for range 100 { // many events come at once
			p.want()
		}
		pass(time.Minute)
		if wantUsage(t, "a map is made", state, v1alpha1.MapNeverUsed, 0); host.looked() != 1 {
			t.Errorf("%d looks, want 1", host.looked())
		}
		host.use(1, 2)
		pass(12 * time.Minute)
		if wantUsage(t, "programs were loaded", state, v1alpha1.MapUsed, 2); host.looked() != 3 {
			t.Errorf("%d looks, want 3: one that was due, and one that agrees with it", host.looked())
		}
		state.publish.waiting = nil
		pass(2 * time.Hour)
		if len(state.publish.waiting) != 0 || host.looked() < 10 {
			t.Errorf("%d writes in an idle node, %d looks", len(state.publish.waiting), host.looked())
		}
		state.set(usedMap(7)) // as each comparison does
		wantUsage(t, "the map was compared", state, v1alpha1.MapUsed, 2)
		host.use()
		pass(12 * time.Minute)
		wantUsage(t, "they vanished", state, v1alpha1.MapUnused, 0)
		state.set(usedMap(8))
		wantUsage(t, "another map is at the pin", state, "", 0)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestProgramsUnknown says what is missing, and of a failure what it was.
func TestProgramsUnknown(t *testing.T) {
	host, state := &programHost{err: fmt.Errorf("which programs use a map %w: no capability", engine.ErrUnknown)}, newNodeState("node", "v1", Facts{})
	state.setReady(nil, nil)
	state.set(usedMap(7))
	p := newPrograms(host, time.Minute, state, closed())
	now := time.Now()
	p.look(t.Context(), now)
	wantUsage(t, "without the capability", state, v1alpha1.MapUsageUnknown, 0)
	if got := state.snapshot()[0].Usage.Message; got != errMayNotLook.Error() {
		t.Errorf("message %q", got)
	}
	host.err = errors.New("cannot allocate memory")
	if !p.look(t.Context(), now.Add(time.Hour)) {
		t.Error("another failure doesn't ask for another look")
	}
	p.look(t.Context(), now.Add(2*time.Hour))
	if got := state.snapshot()[0].Usage.Message; got != "cannot allocate memory" {
		t.Errorf("message %q", got)
	}
}

// replacingHost has the map at the pin replaced while it is looked at.
type replacingHost struct {
	programHost
	state *nodeState
}

func (h *replacingHost) Programs(ctx context.Context) (*inuse.Inventory, error) {
	h.state.set(usedMap(8))
	return h.programHost.Programs(ctx)
}

// TestProgramsOfAnotherMap doesn't tell of the map that is at the pin now what was seen of the one before.
func TestProgramsOfAnotherMap(t *testing.T) {
	state := newNodeState("node", "v1", Facts{})
	state.setReady(nil, nil)
	state.set(usedMap(7))
	host := &replacingHost{state: state}
	host.use(1)
	newPrograms(host, time.Minute, state, closed()).look(t.Context(), time.Now())
	wantUsage(t, "replaced meanwhile", state, "", 0)
}

// TestWantsLook wants one after a map was made or removed.
func TestWantsLook(t *testing.T) {
	object := compiled(t, "a", 1, hash(1))
	c := newClient(t, object)
	p := newParts(t, c, "node", &fakeHost{})
	wanted := func() bool {
		select {
		case <-p.programs.wanted:
			return true
		default:
			return false
		}
	}
	_, err := p.reconcile(t.Context(), "a")
	if must(t, err); !wanted() {
		t.Error("no look is wanted after a map was made")
	}
	p.checks.forgetAll()
	_, err = p.reconcile(t.Context(), "a")
	if must(t, err); wanted() {
		t.Error("a look is wanted after nothing changed")
	}
}
