// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// NativeByteOrder is the order of this machine, in which keys and values are compiled.
func NativeByteOrder() v1alpha1.ByteOrder {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return v1alpha1.LittleEndian
	}
	return v1alpha1.BigEndian
}

// ErrByteOrder: the revision is for machines of another byte order.
var ErrByteOrder = errors.New("another byte order")

// checkByteOrder refuses entries that were compiled for machines of another order: integers in them would
// be others here.
func checkByteOrder(order, native v1alpha1.ByteOrder) error {
	if order = cmp.Or(order, v1alpha1.LittleEndian); order != native {
		return fmt.Errorf("%w: it is compiled for %s machines, and this one is %s: run the controller on a machine with the byte order of the nodes, "+
			"and leave nodes of the other one out by spec.nodeSelector (kubernetes.io/arch)", ErrByteOrder, order, native)
	}
	return nil
}
