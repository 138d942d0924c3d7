// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"fmt"
	"reflect"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// isChecked says whether a record tells that the schemas of a revision were compared with the map's own description of
// key and value. Where that wasn't allowed it may be now.
func isChecked(rec *Record, rev *revision.Revision) bool {
	if rec.SchemaVerified != v1alpha1.SchemaVerified && rec.SchemaVerified != v1alpha1.SchemaNoBTF {
		return false
	}
	return reflect.DeepEqual(rec.KeySchema, rev.KeySchema) && reflect.DeepEqual(rec.ValueSchema, rev.ValueSchema)
}

// fit compares the declared schemas with what a map tells of its key and value.
func (o *Observation) fit(ctx context.Context, m *openMap) (*plan.Fit, error) {
	f, err := m.Fit(ctx, o.rev)
	if err != nil {
		return nil, fmt.Errorf("compare the layout of map %d: %w", m.info.ID, err)
	}
	return &f, nil
}

// verified is what is known of the schemas of the map that a plan works on; empty for nothing.
func (o *Observation) verified(p *plan.Plan) v1alpha1.SchemaVerification {
	fit := o.have.Fit
	switch {
	case p.Base == plan.BaseNew:
		return v1alpha1.SchemaVerified // it is made from them
	case fit != nil && fit.Misfit != "":
		return ""
	case fit != nil:
		return fit.Verified
	case o.record != nil && o.have.Recorded.Checked:
		return o.record.SchemaVerified
	}
	return ""
}
