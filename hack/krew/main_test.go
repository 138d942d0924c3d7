// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"k8s.io/apimachinery/pkg/util/version"
)

// TestVersions are what git describes, as krew takes it: it reads versions by the same library.
func TestVersions(t *testing.T) {
	for described, want := range map[string]string{
		"v1.2.3": "v1.2.3", "1.2.3": "v1.2.3", "v1.2.3-4-g9efe946-dirty": "v1.2.3-4-g9efe946-dirty",
		"9efe946-dirty": "v0.0.0-g9efe946-dirty", "0123456": "v0.0.0-g0123456", "unknown": "v0.0.0-gunknown",
	} {
		got := semantic(described)
		if _, err := version.ParseSemantic(got); err != nil || got != want {
			t.Errorf("%s becomes %s (%v), want %s", described, got, err, want)
		}
	}
}
