// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"math"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bpfmap-io/bpfmap-operator/internal/fairqueue"
)

// noTimeout lets a controller wait for an API server that is down instead of ending the process.
const noTimeout = time.Duration(math.MaxInt64)

// The bounds of the exponential backoff of retries.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = time.Minute
)

// Controller is the settings of a controller that reconciles up to concurrency objects in parallel, of each namespace in
// its turn, and of one at most half as many.
func Controller(concurrency int) controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: concurrency,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
		NewQueue:                fairqueue.New(concurrency),
	}
}

// NewManager makes a manager with the servers that o asks for and the given cache, which is
// confined to the namespaces of o; adjust may change the other options.
func NewManager(cfg *rest.Config, o Options, c cache.Options, adjust func(*manager.Options)) (manager.Manager, error) {
	c.ReaderFailOnMissingInformer = true
	c.NewInformer = patientInformer
	c.DefaultNamespaces = o.Namespaces.cached()
	if c.DefaultTransform == nil {
		c.DefaultTransform = cache.TransformStripManagedFields()
	}
	options := manager.Options{
		Scheme:                 Scheme(),
		MapperProvider:         mapper,
		Cache:                  c,
		Metrics:                server.Options{BindAddress: o.MetricsBindAddress},
		HealthProbeBindAddress: o.HealthProbeBindAddress,
		// A process may run several managers one after the other, as tests do.
		Controller: config.Controller{CacheSyncTimeout: noTimeout, SkipNameValidation: new(true)},
	}
	if o.MetricsBindAddress == "" {
		options.Metrics.BindAddress = Disabled
	}
	if o.MetricsSecure {
		options.Metrics.SecureServing = true
		options.Metrics.CertDir = o.MetricsCertDir
		if err := o.checkCertificate(); err != nil {
			return nil, err
		}
		options.Metrics.FilterProvider = delegatedAuth
	}
	adjust(&options)
	m, err := manager.New(cfg, options)
	if err != nil {
		return nil, fmt.Errorf("make manager: %w", err)
	}
	if err := m.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("add liveness check: %w", err)
	}
	if err := m.Add(release{after: settled}); err != nil {
		return nil, fmt.Errorf("add what gives memory back: %w", err)
	}
	return m, nil
}
