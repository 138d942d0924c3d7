// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// Options say what is measured.
type Options struct {
	// Dir holds the control plane's data and all logs.
	Dir string
	// Nodes is the size of the cluster, and Maps the number of BPFMaps on each of its nodes.
	Nodes, Maps int
	// Entries is how many entries of 8 bytes each map has; 100 if 0.
	Entries int
	// RealAgents is how many agents are the agent's own code; the others are thin.
	RealAgents int
	// FlowControl applies config/flowcontrol, as the chart does.
	FlowControl bool
	// Steady is the length of the phase in which nothing changes; a minute if 0.
	Steady time.Duration
	// Log is told what goes on.
	Log io.Writer
}

// Bench is a cluster that is measured.
type Bench struct {
	Options
	env   *environment
	fleet *fleet

	mu     sync.Mutex
	maps   map[string]*v1alpha1.BPFMap
	update chan struct{} // closed when maps change
}

// New brings a cluster up, with its nodes and agents and without a map. The caller must Close it.
func New(ctx context.Context, o Options) (_ *Bench, err error) {
	if o.Entries == 0 {
		o.Entries = 100
	}
	if o.Steady == 0 {
		o.Steady = time.Minute
	}
	b := &Bench{Options: o, maps: map[string]*v1alpha1.BPFMap{}, update: make(chan struct{})}
	if b.env, err = newEnvironment(ctx, o.Dir, o.FlowControl); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	if b.fleet, err = newFleet(ctx, b.env, o.Nodes, o.RealAgents); err != nil {
		return nil, err
	}
	w, err := b.env.admin.Watch(ctx, &v1alpha1.BPFMapList{})
	if err != nil {
		return nil, fmt.Errorf("watch BPFMaps: %w", err)
	}
	go b.follow(w)
	return b, nil
}

// Close ends everything.
func (b *Bench) Close() error {
	if b.fleet != nil {
		b.fleet.stop(b.fleet.nodes)
	}
	return b.env.stop()
}

// Traffic is what the agent of each node received, by the node's name.
func (b *Bench) Traffic() map[string]*Traffic {
	all := map[string]*Traffic{}
	for _, n := range b.fleet.nodes {
		all[n.name] = &n.traffic
	}
	return all
}

func (b *Bench) follow(w watch.Interface) {
	for e := range w.ResultChan() {
		m, ok := e.Object.(*v1alpha1.BPFMap)
		if !ok {
			continue
		}
		b.mu.Lock()
		b.maps[m.Name] = m
		if e.Type == watch.Deleted {
			delete(b.maps, m.Name)
		}
		close(b.update)
		b.update = make(chan struct{})
		b.mu.Unlock()
	}
}

// await waits until a condition holds for the BPFMaps as they are shown.
func (b *Bench) await(ctx context.Context, what string, limit time.Duration, holds func(map[string]*v1alpha1.BPFMap) bool) error {
	deadline := time.After(limit)
	for {
		b.mu.Lock()
		ok, update := holds(b.maps), b.update
		b.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-update:
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return fmt.Errorf("%s: not within %s", what, limit)
		}
	}
}

// isReady says of a map that it is Ready at its newest spec, on so many nodes.
func isReady(m *v1alpha1.BPFMap, nodes int) bool {
	return m != nil && m.Status.ObservedGeneration == m.Generation && int(m.Status.Nodes.Desired) >= nodes &&
		m.Status.Nodes.Updated == m.Status.Nodes.Desired && meta.IsStatusConditionTrue(m.Status.Conditions, v1alpha1.ConditionReady)
}

// mostUpdated says of a map that 99 % of its nodes hold its newest spec.
func mostUpdated(m *v1alpha1.BPFMap, nodes int) bool {
	return m != nil && m.Status.ObservedGeneration == m.Generation && isAccepted(m) && int(m.Status.Nodes.Updated) >= (nodes*99+99)/100
}

func isAccepted(m *v1alpha1.BPFMap) bool {
	c := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionAccepted)
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == m.Generation
}

func (b *Bench) logf(format string, args ...any) {
	if b.Log != nil {
		fmt.Fprintf(b.Log, time.Now().Format("15:04:05 ")+format+"\n", args...)
	}
}
