// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// moody answers with one error after the other, and then well.
type moody struct {
	errs  []error
	calls int
}

func (m *moody) next() error {
	m.calls++
	if m.calls <= len(m.errs) {
		return m.errs[m.calls-1]
	}
	return nil
}

func (m *moody) lister() patient {
	lw := &cache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			return &metav1.PartialObjectMetadataList{}, m.next()
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) {
			return watch.NewFake(), m.next()
		},
	}
	return patient{lw, cache.ToListerWatcherWithContext(lw), time.Microsecond}
}

func TestPatience(t *testing.T) {
	away := []error{syscall.ECONNREFUSED, syscall.ECONNRESET, apierrors.NewServiceUnavailable("starting")}
	m := &moody{errs: away}
	if _, err := m.lister().ListWithContext(t.Context(), metav1.ListOptions{}); err != nil || m.calls != 4 {
		t.Errorf("list: %d calls, %v", m.calls, err)
	}
	m = &moody{errs: away}
	if _, err := m.lister().WatchWithContext(t.Context(), metav1.ListOptions{}); err != nil || m.calls != 4 {
		t.Errorf("watch: %d calls, %v", m.calls, err)
	}
	// Anything else is the informer's business.
	expired := apierrors.NewResourceExpired("too old")
	m = &moody{errs: []error{expired}}
	if _, err := m.lister().WatchWithContext(t.Context(), metav1.ListOptions{}); !errors.Is(err, expired) || m.calls != 1 {
		t.Errorf("watch: %d calls, %v", m.calls, err)
	}
	// It ends with its context.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m = &moody{errs: []error{syscall.ECONNREFUSED, syscall.ECONNREFUSED}}
	if _, err := m.lister().ListWithContext(ctx, metav1.ListOptions{}); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("list after the end: %v", err)
	}
}
