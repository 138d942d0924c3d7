// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"strconv"
	"testing"
	"testing/synctest"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// TestWorkersOfANamespace: a controller of four workers gives two of them to one namespace.
func TestWorkersOfANamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Controller(4)
		q := o.NewQueue("test", o.RateLimiter)
		for i := range 5 {
			q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "flood", Name: strconv.Itoa(i)}})
		}
		taken := make(chan reconcile.Request, 5)
		for range o.MaxConcurrentReconciles {
			go func() {
				if r, shutdown := q.Get(); !shutdown {
					taken <- r
				}
			}()
		}
		synctest.Wait()
		if n := len(taken); n != 2 {
			t.Errorf("%d of the namespace are worked on, want 2", n)
		}
		q.ShutDown()
	})
}
