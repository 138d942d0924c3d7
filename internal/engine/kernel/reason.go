// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"errors"
	"io/fs"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
)

// reasons are what people see of the errors of the kernel.
var reasons = []struct {
	err    error
	reason string
}{
	{pinstore.ErrOccupied, v1alpha1.NodeReasonPinConflict},
	{bpf.ErrFull, v1alpha1.NodeReasonMapFull},
	{bpf.ErrFrozen, v1alpha1.NodeReasonFrozen},
	{bpf.ErrMemlockLimit, v1alpha1.NodeReasonMemlockLimit}, // before those that its EPERM would be
	{bpf.ErrNotPermitted, v1alpha1.NodeReasonNotPermitted},
	{fs.ErrPermission, v1alpha1.NodeReasonNotPermitted},
	{bpf.ErrNotSupported, v1alpha1.NodeReasonNotSupported},
	{bpf.ErrNoMemory, v1alpha1.NodeReasonOutOfMemory},
}

// explain gives an error its reason.
func explain(err error) error {
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return &engine.Error{ReasonCode: r.reason, Err: err}
		}
	}
	return err
}
