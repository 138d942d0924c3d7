// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"net"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/element"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// nameLinks lets a typing print what numbers stand for on this machine: interfaces, and the BPFMaps of
// managed maps.
func nameLinks(t *element.Typing, bpffs string) {
	var maps map[uint64]string
	name := func(typ v1alpha1.ScalarType, n uint64) (string, bool) {
		switch typ {
		case v1alpha1.TypeIfindex:
			return interfaceName(n)
		case v1alpha1.TypeMapRef:
			if maps == nil {
				maps = managedMaps(bpffs)
			}
			found, ok := maps[n]
			return found, ok
		}
		return "", false
	}
	for _, codec := range []*element.Codec{&t.Key, &t.Value} {
		if l, ok := (*codec).(*schema.Layout); ok {
			*codec = l.Named(name)
		}
	}
}

// interfaceName is the network interface with an index.
func interfaceName(index uint64) (string, bool) {
	i, err := net.InterfaceByIndex(int(index))
	if err != nil {
		return "", false
	}
	return i.Name, true
}

// managedMaps are the names of the managed maps by their ids; none if the records can't be read.
func managedMaps(bpffs string) map[uint64]string {
	names := map[uint64]string{}
	records, err := pinstore.New(hostRoot().Here(bpffs), pinstore.Options{}).Records()
	if err != nil {
		return names
	}
	for i := range records {
		names[uint64(records[i].MapID)] = records[i].Key.Name
	}
	return names
}
