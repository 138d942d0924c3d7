// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// disabled is only for messages; sys refuses the calls. It is written before anything else runs.
var disabled []string

// Features beside the map types.
const (
	featureBatch  = "Batch"
	featureFreeze = "Freeze"
	// featureAllCPUs are the flags of elements that are named so, featureArrayHash is the hash of frozen arrays.
	featureAllCPUs   = "AllCPUs"
	featureArrayHash = "ArrayHash"
)

// Disable turns off features of the kernel for this process: map types, Batch or Freeze. It replaces what
// earlier calls disabled. Every call that needs a disabled feature fails as on a kernel without it. This is
// for adopting features of a newer kernel step by step, and for tests. It must not run beside other calls
// of this package. The error names an unknown feature.
func Disable(names ...string) error {
	var d sys.Disabled
	for _, name := range names {
		switch t, err := ParseMapType(name); {
		case name == featureBatch:
			d.Batch = true
		case name == featureFreeze:
			d.Freeze = true
		case name == featureAllCPUs:
			d.AllCPUs = true
		case name == featureArrayHash:
			d.ArrayHash = true
		case err == nil:
			d.MapTypes = append(d.MapTypes, uint32(t))
		default:
			return fmt.Errorf("unknown feature %q: must be a map type such as LPMTrie, %s, %s, %s or %s", name,
				featureBatch, featureFreeze, featureAllCPUs, featureArrayHash)
		}
	}
	disabled = slices.Clone(names)
	typeProbes.Clear()
	allCPUProbes.Clear()
	sys.SetDisabled(d)
	return nil
}

// isDisabled says whether maps of a type are disabled.
func isDisabled(t MapType) bool { return slices.Contains(disabled, t.String()) }
