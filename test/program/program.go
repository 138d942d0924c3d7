// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package program gives tests the bpfmap binary.
package program

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Main runs a package's tests with the path of the binary in *path: that of the variable BPFMAP, which is set where
// nothing can be built, or one that is built for this run. The result is what the process exits with.
func Main(m *testing.M, path *string) (code int) {
	if *path = os.Getenv("BPFMAP"); *path != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "bpfmap-program-")
	if err == nil {
		*path = filepath.Join(dir, "bpfmap")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", *path, "github.com/bpfmap-io/bpfmap-operator/cmd/bpfmap").CombinedOutput(); err != nil {
			err = fmt.Errorf("build the program: %w\n%s", err, out)
		}
	}
	code = 1
	if err == nil {
		code = m.Run()
	}
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}
