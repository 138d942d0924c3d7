// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package licences

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// goPackage is what is needed of go list's description of a package.
type goPackage struct {
	ImportPath, Dir string
	Standard        bool
	Module          *struct {
		Path, Version, Dir string
		Main               bool
	}
}

// Of gives the modules of the binary that env (GOOS, GOARCH …) builds from command in the main module's folder dir, with
// their licences, and holds them to what the binary itself says.
func Of(ctx context.Context, dir, command, binary string, env []string) ([]Module, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, fmt.Errorf("read modules of %s: %w", binary, err)
	}
	packages, err := list(ctx, dir, command, env)
	if err != nil {
		return nil, err
	}
	goroot, err := run(ctx, dir, env, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	std := Module{Path: "std", Version: info.GoVersion}
	if err := std.Read(strings.TrimSpace(string(goroot)), nil); err != nil {
		return nil, err
	}
	dirs, inside := map[string]string{}, map[string][]string{}
	for _, p := range packages {
		if p.Module != nil && !p.Module.Main {
			dirs[p.Module.Path] = p.Module.Dir
			inside[p.Module.Path] = append(inside[p.Module.Path], p.Dir)
		}
	}
	modules := []Module{std}
	for _, d := range info.Deps {
		if d.Replace != nil {
			return nil, fmt.Errorf("read modules of %s: %s is replaced by %s: a release is made of published modules", binary, d.Path, d.Replace.Path)
		}
		m := Module{Path: d.Path, Version: d.Version, Sum: d.Sum}
		if err := m.Read(dirs[d.Path], inside[d.Path]); err != nil {
			return nil, err
		}
		delete(dirs, d.Path)
		modules = append(modules, m)
	}
	if len(dirs) > 0 {
		return nil, fmt.Errorf("read modules of %s: it doesn't name %v, of which it has packages", binary, slices.Sorted(maps.Keys(dirs)))
	}
	return modules, nil
}

func list(ctx context.Context, dir, command string, env []string) (all []goPackage, err error) {
	out, err := run(ctx, dir, env, "list", "-deps", "-json=ImportPath,Dir,Standard,Module", command)
	if err != nil {
		return nil, err
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("read what go list says: %w", err)
		}
		all = append(all, p)
	}
}

func run(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	var errs bytes.Buffer
	c := exec.CommandContext(ctx, "go", args...)
	c.Dir, c.Env, c.Stderr = dir, append(os.Environ(), env...), &errs
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("run go %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out, nil
}
