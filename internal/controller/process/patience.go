// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// Caches ask again after this time, up to twice of it with jitter, while the API server can't be reached.
// Their own back-off goes up to a minute and then counts for what comes after, too: nodes would be two
// minutes behind after a restart of the API server. A refused connection costs nobody anything.
const (
	firstAttempt = 250 * time.Millisecond
	lastAttempt  = 5 * time.Second
)

// lastAbsentAttempt is the longest pause, up to twice of it with jitter, after which the cache of a namespace that doesn't exist
// asks for it again: all agents of a cluster do.
const lastAbsentAttempt = time.Minute

// patientInformer makes informers whose lists and watches wait for an API server that is away, and for which nothing is in a
// namespace that doesn't exist: it may be listed before it is made, and be deleted, and the others must go on.
func patientInformer(lw cache.ListerWatcher, o runtime.Object, resync time.Duration, indexers cache.Indexers) cache.SharedIndexInformer {
	return cache.NewSharedIndexInformer(patient{lw, cache.ToListerWatcherWithContext(lw), firstAttempt}, o, resync, indexers)
}

type patient struct {
	cache.ListerWatcher
	next  cache.ListerWatcherWithContext
	first time.Duration
}

// ListWithContext lists once the API server can be reached. In a namespace that doesn't exist there is nothing.
func (p patient) ListWithContext(ctx context.Context, o metav1.ListOptions) (list runtime.Object, err error) {
	err = p.untilReached(ctx, lastAttempt, unreached, func() (err error) {
		list, err = p.next.ListWithContext(ctx, o)
		return err
	})
	if IsNamespaceAbsent(err) {
		return &metav1.List{}, nil
	}
	return list, err
}

// WatchWithContext watches once the API server can be reached. After the empty list of a namespace that doesn't exist it
// waits for that namespace: such a watch begins with all that is there then.
func (p patient) WatchWithContext(ctx context.Context, o metav1.ListOptions) (w watch.Interface, err error) {
	watch := func() (err error) {
		w, err = p.next.WatchWithContext(ctx, o)
		return err
	}
	err = p.untilReached(ctx, lastAttempt, unreached, watch)
	if IsNamespaceAbsent(err) && o.ResourceVersion == "" && o.SendInitialEvents == nil {
		err = p.untilReached(ctx, lastAbsentAttempt, func(err error) bool { return IsNamespaceAbsent(err) || unreached(err) }, watch)
	}
	return w, err
}

// untilReached tries again while the error is one of those to wait for, and returns every other outcome. Pauses are longest at
// most, up to twice of it with jitter.
func (p patient) untilReached(ctx context.Context, longest time.Duration, wait func(error) bool, try func() error) error {
	for pause := p.first; ; pause = min(2*pause, longest) {
		err := try()
		if err == nil || !wait(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause + rand.N(pause)):
		}
	}
}

// unreached says whether an error means that no API server answered, or one that is starting or stopping.
func unreached(err error) bool {
	return utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) ||
		utilnet.IsTimeout(err) || apierrors.IsServiceUnavailable(err)
}
