// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Surroundings are what the parts of a process reach the world through. A manager has them, and tests play
// them.
type Surroundings struct {
	// Client reads from the cache and writes to the API server; Live reads from the API server.
	Client client.Client
	Live   client.Reader
	Events events.EventRecorder
	// Metrics is where recorders register.
	Metrics prometheus.Registerer
	Now     func() time.Time
	// Spread is by how much less than a duration something is put off that many do at once.
	Spread func(time.Duration) time.Duration
}

// ByLot is the Spread of real processes.
func ByLot(d time.Duration) time.Duration { return rand.N(d) }

// Assembly is a process without a manager: what it reconciles, by which events, and what its cache keeps.
type Assembly struct {
	Parts   []Part
	Indexes []Index
	Cache   cache.Options
}

// Part reconciles one kind of request.
type Part struct {
	Name       string
	Reconciler reconcile.Reconciler
	// For is the kind whose own events lead to its requests; nil for none.
	For     client.Object
	Watches []Watch
	// Sources add requests without any watch.
	Sources     []source.Source
	Concurrency int
}

// Watch leads from the events of a kind to requests.
type Watch struct {
	Object     client.Object
	Handler    handler.EventHandler
	Predicates []predicate.Predicate
}

// Index is one of the cache's.
type Index struct {
	Object client.Object
	Field  string
	Keys   client.IndexerFunc
}

// SetUpIndexes registers the indexes with a manager.
func (a *Assembly) SetUpIndexes(m manager.Manager) error {
	for _, i := range a.Indexes {
		if err := m.GetFieldIndexer().IndexField(context.Background(), i.Object, i.Field, i.Keys); err != nil {
			return fmt.Errorf("index %T by %s: %w", i.Object, i.Field, err)
		}
	}
	return nil
}

// SetUp registers the parts with a manager.
func (a *Assembly) SetUp(m manager.Manager) error {
	for _, p := range a.Parts {
		if err := p.setUp(m); err != nil {
			return fmt.Errorf("set up %s: %w", p.Name, err)
		}
	}
	return nil
}

func (p *Part) setUp(m manager.Manager) error {
	b := builder.ControllerManagedBy(m).Named(p.Name).WithOptions(Controller(max(1, p.Concurrency)))
	if p.For != nil {
		b = b.For(p.For)
	}
	for _, w := range p.Watches {
		b = b.Watches(w.Object, w.Handler, builder.WithPredicates(w.Predicates...))
	}
	for _, s := range p.Sources {
		b = b.WatchesRawSource(s)
	}
	return b.Complete(p.Reconciler)
}
