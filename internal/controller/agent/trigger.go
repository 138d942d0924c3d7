// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// trigger puts requests into a controller's queue from outside of any watch. What comes before the
// controller runs is kept.
type trigger struct {
	mu      sync.Mutex
	queue   workqueue.TypedRateLimitingInterface[reconcile.Request]
	waiting []types.NamespacedName
}

func (t *trigger) source() source.Source {
	return source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.queue = q
		for _, name := range t.waiting {
			q.Add(reconcile.Request{NamespacedName: name})
		}
		t.waiting = nil
		return nil
	})
}

func (t *trigger) add(names ...types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.queue == nil {
		t.waiting = append(t.waiting, names...)
		return
	}
	for _, name := range names {
		t.queue.Add(reconcile.Request{NamespacedName: name})
	}
}
