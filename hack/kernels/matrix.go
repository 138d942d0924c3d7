// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	matrix "github.com/bpfmap-io/bpfmap-operator/test/kernels"
)

// matrixPackage is the part whose tests write the matrix of a kernel.
const matrixPackage = "test/kernels"

// kept is where the matrix of a kernel is kept.
func kept(top string, k kernel) string {
	return filepath.Join(top, "docs", "kernels", k.name+".json")
}

// matrix compares what types could do in this run with what is kept, or keeps it.
func (t testRun) matrix(k kernel) error {
	have, err := matrix.Read(filepath.Join(t.resultsOf(k), "matrix.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil // the test wasn't to run, or failed and is told of
	}
	if err != nil {
		return err
	}
	if t.update {
		if err := errors.Join(os.MkdirAll(filepath.Dir(kept(t.top, k)), 0o755), have.Write(kept(t.top, k))); err != nil {
			return err
		}
		k.say("wrote docs/kernels/%s.json; make generate writes its table", k.name)
		return nil
	}
	want, err := matrix.Read(kept(t.top, k))
	if errors.Is(err, os.ErrNotExist) && k.arch != runtime.GOARCH {
		k.say("no matrix is kept of this kernel, and none was compared: %s", howToUpdate(k))
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, howToUpdate(k))
	}
	differences := matrix.Differences(want, have)
	switch {
	case len(differences) == 0:
		return nil
	case want.Version() != have.Version():
		k.say("is Linux %s by now; docs/kernels/%s.json is of %s, and differs:\n\t%s\n\t%s",
			have.Version(), k.name, want.Version(), strings.Join(differences, "\n\t"), howToUpdate(k))
		return nil
	default:
		return fmt.Errorf("on kernel %s, types can do something else than docs/kernels/%s.json says:\n\t%s\n\t%s",
			k.name, k.name, strings.Join(differences, "\n\t"), howToUpdate(k))
	}
}

func howToUpdate(k kernel) string {
	return fmt.Sprintf("if that is right: make test-kernels KERNELS=%s PACKAGE=%s UPDATE=1 && make generate", k.name, matrixPackage)
}

// renderCommand writes the table of what is kept into docs/kernels.md of the module in the folder.
func renderCommand(top string) error {
	var all []matrix.Named
	for _, k := range kernels {
		m, err := matrix.Read(kept(top, k))
		if errors.Is(err, os.ErrNotExist) {
			continue // a kernel that nobody kept a matrix of, for it takes too long to be tried each time
		}
		if err != nil {
			return err
		}
		all = append(all, matrix.Named{Name: k.name, Matrix: m})
	}
	page := filepath.Join(top, "docs", "kernels.md")
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	replaced, err := matrix.Replace(string(text), matrix.Render(all))
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, []byte(replaced), 0o644)
}
