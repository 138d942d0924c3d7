// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/quota"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// TestConcurrentReconciles runs several workers over many maps, as a controller does, while the host changes
// its mind, everything is queued again, the state is read, and a limit counts every map. When that ends, every map is as declared. Run it with -race.
func TestConcurrentReconciles(t *testing.T) {
	const maps, workers, rounds = 24, 4, 30
	objects := []client.Object{nodeNamed("node")}
	for i := range maps {
		objects = append(objects, compiled(t, fmt.Sprint("table-", i), 1, hash(i)))
	}
	memory := enginetest.NewMemory()
	ledger := quota.New(quota.Limits{Maps: map[string]int64{"*": maps}}, quota.Sources{
		Usage: func(ctx context.Context) ([]quota.Use, error) {
			records, err := memory.Records(ctx)
			var uses []quota.Use
			for i := range records {
				uses = append(uses, quota.Use{Key: records[i].Key, Bytes: 1})
			}
			return uses, err
		},
		Cgroups: func() ([]quota.CgroupLimit, error) { return []quota.CgroupLimit{{Limit: 1 << 30}}, nil },
	})
	host := &fakeHost{engine: engine.New(memory, engine.Options{Quota: ledger})}
	p := newParts(t, newClient(t, objects...), "node", host)
	go func() {
		for range p.events.Events { // the recorder's channel would be full
		}
	}()
	defer close(p.events.Events)
	ctx, stop := context.WithCancel(t.Context())
	q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	must(t, p.queue.source("maps").Start(ctx, q))
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for {
				req, ended := q.Get()
				if ended {
					return
				}
				if _, err := p.Reconcile(ctx, req); err != nil {
					q.AddRateLimited(req)
				}
				q.Done(req)
			}
		})
	}
	e, err := p.readiness.current()
	must(t, err)
	running.Go(func() {
		p.readiness.run(ctx, func(ctx context.Context, err error) {
			p.state.setReady(err, nil)
			p.queue.addAll(ctx, e)
		})
	})
	for i := range rounds {
		host.set([]error{nil, errors.New("read-only")}[i%2])
		p.readiness.recheck()
		p.queue.addAll(ctx, e)
		p.queue.addReferrers(ctx, interfacesReference)
		p.state.setInventory(v1alpha1.NodeInventory{Maps: int32(i)})
		_ = p.state.status(v1alpha1.BPFNodeStateStatus{}, time.Now())
		p.loader.forget(revision.Key{Namespace: "default", Name: "table-0"})
	}
	host.set(nil)
	p.readiness.recheck()
	p.queue.addAll(ctx, e)
	await.Nil(t, time.Minute, func() error {
		next := p.state.status(v1alpha1.BPFNodeStateStatus{}, time.Now())
		if next.Summary.Ready != maps {
			return fmt.Errorf("%d of %d maps are ready", next.Summary.Ready, maps)
		}
		return nil
	})
	stop()
	q.ShutDown()
	running.Wait()
}

// TestConcurrentLoads of several maps, of which each gets new revisions.
func TestConcurrentLoads(t *testing.T) {
	s := &shop{chunks: map[string][]byte{}}
	object := large(t, s, "one", 50000, nil)
	l := newRevisionLoader(s, newMetrics())
	var loads sync.WaitGroup
	for i := range 8 {
		loads.Go(func() {
			own := object.DeepCopy()
			own.Namespace = fmt.Sprint("edge-", i%4)
			for range 5 {
				if rev, err := l.load(t.Context(), own); err != nil || rev.Contents.Len != 50000 {
					t.Errorf("%v", err)
				}
				l.forget(mapOf(own))
			}
		})
	}
	loads.Wait()
	if l.bytes != 0 {
		t.Errorf("%d bytes of nothing are kept", l.bytes)
	}
}
