// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
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
	return diffs
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
// the pin and the digest. Two revisions with the same fingerprint leave the same map behind.
func (r *Revision) Fingerprint() string {
	b, err := json.Marshal(struct {
		Shape  Shape
		Policy Policy
		Pin    Pin
		Digest string
	}{r.Shape, r.Policy, r.Pin, r.Digest})
	if err != nil {
		panic("fingerprint of a revision: " + err.Error()) // plain data always marshals
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}
