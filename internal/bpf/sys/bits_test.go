// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"go/build"
	"testing"
	"unsafe"
)

// TestArchitectures compiles the error in where pointers don't have 64 bits, and nowhere else.
func TestArchitectures(t *testing.T) {
	for arch, refused := range map[string]bool{
		"386": true, "arm": true, "mips": true, "mipsle": true,
		"amd64": false, "arm64": false, "loong64": false, "mips64": false, "mips64le": false, "ppc64": false,
		"ppc64le": false, "riscv64": false, "s390x": false,
	} {
		ctx := build.Default
		ctx.GOOS, ctx.GOARCH = "linux", arch
		if got, err := ctx.MatchFile(".", "bits.go"); got != refused || err != nil {
			t.Errorf("%s is refused: %t (%v), want %t", arch, got, err, refused)
		}
	}
	if size := unsafe.Sizeof(Pointer{}); size != 8 {
		t.Errorf("a pointer has %d bytes", size)
	}
}
