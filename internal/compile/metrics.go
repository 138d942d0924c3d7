// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/series"
)

// checkMetrics checks spec.metrics against what the rest of the spec compiled to. It is no part of a revision: what is
// served of a map changes nothing of the map.
func (c *compiler) checkMetrics(rev *revision.Revision) {
	if c.spec.Metrics == nil {
		return
	}
	_, wrong := series.New(c.spec.Metrics, series.Subject{
		Type: rev.Shape.Type, Key: rev.KeySchema, Value: rev.ValueSchema, Sensitive: rev.Sensitive,
	})
	for _, p := range wrong {
		c.problems.add("spec.metrics"+p.Path, "%s", p.Message)
	}
}
