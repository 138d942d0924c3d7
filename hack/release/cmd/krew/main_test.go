// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"golang.org/x/mod/semver"
)

// TestVersions are what git describes, as krew takes it.
func TestVersions(t *testing.T) {
	for described, want := range map[string]string{
		"v1.2.3": "v1.2.3", "1.2.3": "v1.2.3", "v1.2.3-4-g9efe946-dirty": "v1.2.3-4-g9efe946-dirty",
		"9efe946-dirty": "v0.0.0-g9efe946-dirty", "0123456": "v0.0.0-g0123456", "1234567": "v0.0.0-g1234567", "unknown": "v0.0.0-gunknown",
	} {
		if got := semantic(described); got != want || semver.Canonical(got) != got {
			t.Errorf("%s becomes %s, want %s", described, got, want)
		}
	}
}
