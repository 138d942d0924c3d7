// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// Differences are the properties in which have (what the kernel holds) and want differ, in the order
// of the spec. None means that have can be taken over, as libbpf decides on reuse of a pinned map;
// names may differ.
func (want Shape) Differences(have Shape) []Difference {
	var diffs []Difference
	add := func(field, have, want string) {
		if have != want {
			diffs = append(diffs, Difference{Field: field, Have: have, Want: want})
		}
	}
	add("type", string(have.Type), string(want.Type))
	add("key size", fmt.Sprint(have.KeySize), fmt.Sprint(want.KeySize))
	add("value size", fmt.Sprint(have.ValueSize), fmt.Sprint(want.ValueSize))
	add("maxEntries", fmt.Sprint(have.MaxEntries), fmt.Sprint(want.MaxEntries))
	add("flags", flagText(have.Flags), flagText(want.Flags))
	switch t := want.traits(); {
	case t.Extra == maptype.Address:
		add("mapExtra", fmt.Sprintf("%#x", have.MapExtra), fmt.Sprintf("%#x", want.MapExtra))
	case t.Extra != maptype.NoExtra:
		add("mapExtra", fmt.Sprint(have.MapExtra), fmt.Sprint(want.MapExtra))
	case want.MapExtra != 0:
		add("hashFunctions", fmt.Sprint(have.MapExtra), fmt.Sprint(want.MapExtra))
	}
	return diffs
}

// InnerDifferences are the properties for which the kernel refuses have as inner map of an outer one that
// was made for want: type, sizes and flags, and the capacity of types that need the same one
// (bpf_map_meta_equal, Linux 5.10).
func (want Shape) InnerDifferences(have Shape) []Difference {
	isFree := want.traits().Inner != maptype.SameCapacity || slices.Contains(want.Flags, v1alpha1.FlagInnerMap)
	return slices.DeleteFunc(want.Differences(have), func(d Difference) bool { return d.Field == "maxEntries" && isFree })
}

func flagText(flags []v1alpha1.MapFlag) string {
	if len(flags) == 0 {
		return "none"
	}
	names := make([]string, len(flags))
	for i, f := range flags {
		names[i] = string(f)
	}
	return strings.Join(names, "|")
}

// Fingerprint identifies what a node must do for r: the shape, the policies that decide on contents,
// the pin, the digest, and what programs own of the values. Two revisions with the same fingerprint leave the same map behind.
func (r *Revision) Fingerprint() string {
	b, err := json.Marshal(struct {
		Shape  Shape
		Policy Policy
		Pin    Pin
		Digest string
		Links  []v1alpha1.Reference `json:",omitempty"`
		Owned  []string             `json:",omitempty"`
	}{r.Shape, r.Policy, r.Pin, r.Digest, r.References, r.ProgramParts()})
	if err != nil {
		panic("fingerprint of a revision: " + err.Error()) // plain data always marshals
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// ContentDigest is the digest of the entries and, if there are any, the links in them, and of the byte
// order unless it is LittleEndian.
func (r *Revision) ContentDigest() string { return r.contentDigest(NativeByteOrder()) }

func (r *Revision) contentDigest(order v1alpha1.ByteOrder) string {
	digest := r.Contents.Digest()
	if order == v1alpha1.LittleEndian {
		order = ""
	}
	if len(r.References) == 0 && order == "" {
		return digest
	}
	b, err := json.Marshal(struct {
		Entries   string
		Links     []v1alpha1.Reference
		ByteOrder v1alpha1.ByteOrder `json:",omitempty"`
	}{digest, r.References, order})
	if err != nil {
		panic("digest of a revision: " + err.Error()) // plain data always marshals
	}
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}
