// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"crypto/tls"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Disabled, as a bind address, turns a server off.
const Disabled = "0"

// Options are the settings that both processes have.
type Options struct {
	// Kubeconfig is the path of a kubeconfig file. Empty means $KUBECONFIG, and inside a pod its
	// service account.
	Kubeconfig string
	// MetricsBindAddress is the host:port that serves /metrics, or Disabled.
	MetricsBindAddress string
	// MetricsSecure serves metrics by HTTPS, and only to clients whose token may get the
	// non-resource URL /metrics. The process then needs the cluster role system:auth-delegator.
	MetricsSecure bool
	// MetricsCertDir is a folder with the certificate that metrics are served with, tls.crt and tls.key. It is read anew
	// when it changes. Empty means a certificate of the process's own, which nobody can check.
	MetricsCertDir string
	// MetricsPerMap is how many maps get series of their own; 0 is none.
	MetricsPerMap int
	// HealthProbeBindAddress is the host:port that serves /healthz and /readyz, or Disabled.
	HealthProbeBindAddress string
	// Namespaces are those whose BPFMaps are managed. The process needs no rights in others, but in its own one.
	Namespaces Namespaces
	// Version is what the process calls itself to the API server. Revision is the commit that it was built from.
	Version, Revision string
}

// checkCertificate says now what is wrong with the certificate for metrics, which is read when the server starts.
func (o Options) checkCertificate() error {
	if o.MetricsCertDir == "" {
		return nil
	}
	if _, err := tls.LoadX509KeyPair(filepath.Join(o.MetricsCertDir, "tls.crt"), filepath.Join(o.MetricsCertDir, "tls.key")); err != nil {
		return fmt.Errorf("read the certificate of --metrics-cert-dir %s: %w", o.MetricsCertDir, err)
	}
	return nil
}

// Start is what the first line of a process's log tells of it: what was built, and the settings that both processes
// have.
func (o Options) Start() []any {
	return []any{
		"version", o.Version, "commit", o.Revision, "go", runtime.Version(), "gomaxprocs", runtime.GOMAXPROCS(0), "gomemlimit", debug.SetMemoryLimit(-1), "metrics", o.MetricsBindAddress, "metricsSecure", o.MetricsSecure, "metricsCertDir", o.MetricsCertDir,
		"watchNamespaces", o.Namespaces.String(), "metricsPerMap", o.MetricsPerMap, "healthProbe", o.HealthProbeBindAddress,
	}
}

// RESTConfig is the connection to the API server.
func (o Options) RESTConfig(component string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("load the API server's address (--kubeconfig, $KUBECONFIG, or a pod's service account): %w", err)
	}
	// The API server's priority and fairness decides who waits; a rate here would only add to it.
	config.QPS = -1
	if len(o.Namespaces) > 0 {
		config.Wrap(tellAbsent(o.Namespaces))
	}
	config.Wrap(Considerate)
	config.UserAgent = "bpfmap-" + component + "/" + o.Version
	return config, nil
}
