// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
)

// Build is what a process was built from.
type Build struct {
	// Version is the release, Revision the commit.
	Version, Revision string
}

// Register tells what this process is. A second call replaces the first.
func (b Build) Register(r prometheus.Registerer, c Component) {
	labels := []string{string(c), b.Version, runtime.Version(), b.Revision}
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: buildInfo.Name, Help: buildInfo.Help}, buildInfo.Labels)
	info = register(r, info)
	info.Reset()
	info.WithLabelValues(labels...).Set(1)
}
