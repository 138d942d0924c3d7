// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// disabled is kept for the messages alone; sys refuses the calls. It is written before anything else runs.
var disabled []string

// Features beside the map types.
const (
	featureBatch  = "Batch"
	featureFreeze = "Freeze"
)

// Disable lets this process do without features of the kernel, map types, Batch or Freeze, and without
// those of earlier calls no more: every call that needs one fails as on a kernel which lacks it. For
// staged adoption of what a newer kernel has, and for tests. It must not run beside other calls of this
// package. The error names those that aren't known.
func Disable(names ...string) error {
	var w sys.Without
	for _, name := range names {
		switch t, err := ParseMapType(name); {
		case name == featureBatch:
			w.Batch = true
		case name == featureFreeze:
			w.Freeze = true
		case err == nil:
			w.MapTypes = append(w.MapTypes, uint32(t))
		default:
			return fmt.Errorf("unknown feature %q (want a map type such as LPMTrie, %s or %s)", name, featureBatch, featureFreeze)
		}
	}
	disabled = slices.Clone(names)
	typeProbes.Clear()
	sys.DoWithout(w)
	return nil
}

// isDisabled says whether this process does without maps of a type.
func isDisabled(t MapType) bool { return slices.Contains(disabled, t.String()) }
