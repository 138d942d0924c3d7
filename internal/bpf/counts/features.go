// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package counts

import "github.com/bpfmap-io/bpfmap-operator/internal/bpf"

// The names that Features gives.
const (
	FeatureHash    = "CountHash"
	FeatureLPMTrie = "CountLPMTrie"
)

// Features are the names of what Of counts with this kernel and this process's capabilities, sorted:
// the hash family, and LPM tries.
func Features() []string {
	var names []string
	for _, f := range []struct {
		name string
		opts bpf.CreateOpts
	}{
		{FeatureHash, bpf.CreateOpts{Type: bpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 1}},
		{FeatureLPMTrie, bpf.CreateOpts{Type: bpf.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 1, Flags: bpf.NoPrealloc}},
	} {
		if counts(f.opts) {
			names = append(names, f.name)
		}
	}
	return names
}

func counts(o bpf.CreateOpts) bool {
	m, err := bpf.Create(o)
	if err != nil {
		return false
	}
	_, err = Of(m)
	return m.Close() == nil && err == nil
}
