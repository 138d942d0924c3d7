// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/archive"
	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/oci"
)

// check makes the release twice, in folders with different names and in different surroundings, and compares every file.
func check(ctx context.Context, o options, w io.Writer) error {
	key, err := readKey(o.key)
	if err != nil {
		return err
	}
	var builds []map[string]string
	for i, s := range []struct{ folder, zone, locale string }{{"a", "UTC", "C"}, {"somewhere/with a longer name", "Pacific/Chatham", "C.UTF-8"}} {
		root, err := os.MkdirTemp("", "release-check")
		if err != nil {
			return err
		}
		defer os.RemoveAll(root)
		work := filepath.Join(root, s.folder)
		restore := surroundings(s.zone, s.locale, 0o022+0o055*i)
		if i == 1 && o.cold {
			restore = append(restore, setenv("GOCACHE", filepath.Join(root, "cache")))
		}
		var files []archive.File
		if err = os.MkdirAll(work, 0o755); err == nil {
			files, err = assemble(ctx, o, key, work)
		}
		for _, f := range restore {
			f()
		}
		if err != nil {
			return err
		}
		sums := map[string]string{}
		for _, f := range files {
			sums[f.Name] = digest(f.Content)
		}
		builds = append(builds, sums)
	}
	return compare(builds[0], builds[1], w)
}

// surroundings changes what must not matter, and gives what changes it back.
func surroundings(zone, locale string, umask int) []func() {
	before := syscall.Umask(umask)
	return []func(){func() { syscall.Umask(before) }, setenv("TZ", zone), setenv("LC_ALL", locale)}
}

func setenv(name, value string) (restore func()) {
	before, was := os.LookupEnv(name)
	os.Setenv(name, value)
	return func() {
		if was {
			os.Setenv(name, before)
		} else {
			os.Unsetenv(name)
		}
	}
}

// compare prints the SHA-256 of each file and fails where two builds differ.
func compare(a, b map[string]string, w io.Writer) error {
	names := slices.Sorted(maps.Keys(a))
	for name := range b {
		if _, ok := a[name]; !ok {
			names = append(names, name)
		}
	}
	var differ []string
	for _, name := range names {
		if a[name] == b[name] {
			fmt.Fprintf(w, "%s  %s\n", a[name], name)
			continue
		}
		fmt.Fprintf(w, "%-64s  %s\n%-64s  %s\n", a[name], name, b[name], name)
		differ = append(differ, name)
	}
	if len(differ) > 0 {
		return fmt.Errorf("check: two builds of one commit differ in %s", strings.Join(differ, ", "))
	}
	fmt.Fprintf(w, "%d files are the same in both builds\n", len(names))
	return nil
}

// push copies image, chart and signatures of a release that build made. Without signatures it refuses.
func push(ctx context.Context, o options, w io.Writer) error {
	out := filepath.Join(o.out, o.version)
	list, err := os.ReadFile(filepath.Join(out, sums))
	if err != nil {
		return fmt.Errorf("push %s: %w", o.version, err)
	}
	for _, kind := range []string{"image", "chart", "signatures"} {
		name := fmt.Sprintf("bpfmap-operator_%s_%s.oci.tar", o.version, kind)
		packed, err := os.ReadFile(filepath.Join(out, name))
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("push %s: there is no %s: a release that isn't signed isn't pushed, build it with -key", o.version, name)
		}
		if err != nil {
			return fmt.Errorf("push %s: %w", o.version, err)
		}
		if kind != "signatures" && !bytes.Contains(list, []byte(digest(packed)+"  "+name+"\n")) {
			return fmt.Errorf("push %s: %s isn't what %s says", o.version, name, sums)
		}
		done, err := oci.Push(ctx, packed, mover(o.registry))
		for _, p := range done {
			fmt.Fprintf(w, "%s@%s\n", p.Reference, p.Digest)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
