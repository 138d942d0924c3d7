// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import "sigs.k8s.io/controller-runtime/pkg/source"

// NamedSource is a source.Func that logs show by a name, not by its address.
type NamedSource struct {
	Name string
	source.Func
}

// String is the name.
func (s NamedSource) String() string { return s.Name }
