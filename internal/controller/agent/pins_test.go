// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"slices"
	"testing"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

func TestPinsOf(t *testing.T) {
	spec := &v1alpha1.BPFMapRevisionSpec{Pin: v1alpha1.Pin{Path: "bpfmap/edge/calls"}, References: []v1alpha1.Reference{
		{Type: v1alpha1.TypeProgPin, Name: "xdp/drop"}, {Type: v1alpha1.TypeIfindex, Name: "eth0"}, {Type: v1alpha1.TypeProgPin, Name: "xdp/pass"},
	}}
	if got, want := pinsOf(spec), []string{"bpfmap/edge/calls", "xdp/drop", "xdp/pass"}; !slices.Equal(got, want) {
		t.Errorf("pins %v, want %v", got, want)
	}
}

// pinHost says which map is at each pin.
type pinHost struct {
	fakeHost
	id  uint32
	err error
}

func (h *pinHost) PinnedMap(string) (uint32, error) { return h.id, h.err }

// TestOnPin says after which events about pins a map is compared again.
func TestOnPin(t *testing.T) {
	key := revision.Key{Namespace: "edge", Name: "calls"}
	for _, test := range []struct {
		name    string
		state   v1alpha1.NodeMapState
		at      uint32
		err     error
		pin     string
		compare bool
		later   bool
	}{
		{"own map, as this agent pinned it", v1alpha1.NodeMapReady, 7, nil, "bpfmap/edge/calls", false, false},
		{"another map", v1alpha1.NodeMapReady, 8, nil, "bpfmap/edge/calls", true, false},
		{"no map", v1alpha1.NodeMapReady, 0, nil, "bpfmap/edge/calls", true, false},
		{"what is at the pin can't be told", v1alpha1.NodeMapReady, 7, errors.New("no permission"), "bpfmap/edge/calls", true, false},
		{"a program", v1alpha1.NodeMapReady, 7, nil, "xdp/drop", true, false},
		{"a map that waits", v1alpha1.NodeMapPending, 7, nil, "bpfmap/edge/calls", true, false},
		{"a map that can't be", v1alpha1.NodeMapStalled, 7, nil, "bpfmap/edge/calls", true, false},
		{"a map that failed, perhaps after it was pinned", v1alpha1.NodeMapFailed, 7, nil, "bpfmap/edge/calls", false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			host := &pinHost{id: test.at, err: test.err}
			p := newParts(t, newClient(t), "node", host)
			queue := workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Hour, time.Hour))
			t.Cleanup(queue.ShutDown)
			p.queue.queue = queue
			p.state.set(v1alpha1.NodeMap{Namespace: key.Namespace, Name: key.Name, MapID: 7, State: test.state, PinPath: "/sys/fs/bpf/bpfmap/edge/calls"})
			a := &Agent{host: host, state: p.state, queue: p.queue, reconciler: p.reconciler}
			a.onPin(key, test.pin)
			request := reconcile.Request{}
			request.Namespace, request.Name = key.Namespace, key.Name
			if queued := queue.Len() > 0; queued != test.compare {
				t.Errorf("queued %v, want %v", queued, test.compare)
			}
			if later := queue.NumRequeues(request) > 0; later != test.later {
				t.Errorf("queued for later %v, want %v", later, test.later)
			}
		})
	}
}
