// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
)

// fail makes a report one of a failure.
func fail(r engine.Report, state v1alpha1.NodeMapState, reason string, err error) engine.Report {
	r.State, r.Reason, r.Message, r.Err, r.Digest = state, reason, err.Error(), err, ""
	return r
}
