// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed init.sh
var initScript []byte

//go:embed init2.sh
var secondScript []byte

// bootModules are loaded before the host's files are there; a kernel that has one built in lists no file of it.
var bootModules = []string{"virtio_pci", "virtio_mmio", "virtio_rng", "virtio_console", "virtiofs", "overlay"}

// initramfs writes the file that the kernel starts from: busybox, the scripts and the modules of the boot.
func (f fetched) initramfs(ctx context.Context, work string) (string, error) {
	root := filepath.Join(work, "initramfs")
	for _, folder := range []string{"bin", "etc", "modules"} {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil {
			return "", err
		}
	}
	if err := f.copyModules(ctx, filepath.Join(root, "modules")); err != nil {
		return "", err
	}
	for to, script := range map[string][]byte{"init": initScript, "etc/init2": secondScript} {
		if err := os.WriteFile(filepath.Join(root, to), script, 0o755); err != nil {
			return "", err
		}
	}
	busybox, err := os.ReadFile(f.busybox())
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(root, "bin", "busybox"), busybox, 0o755); err != nil {
		return "", err
	}
	archive := filepath.Join(work, "initramfs.cpio")
	pack := exec.CommandContext(ctx, "sh", "-c", `find . | cpio --quiet -o -H newc >"$0"`, archive)
	pack.Dir = root
	return archive, call(pack)
}

// copyModules writes the modules of the boot, uncompressed, and the file "order" that lists them, each after
// those it needs.
func (f fetched) copyModules(ctx context.Context, folder string) error {
	needs, err := f.dependencies()
	if err != nil {
		return err
	}
	var order []string
	done := map[string]bool{}
	var add func(path string) error
	add = func(path string) error {
		if done[path] {
			return nil
		}
		done[path] = true
		// modules.dep lists all that a module needs, the last first.
		for i := len(needs[path]) - 1; i >= 0; i-- {
			if err := add(needs[path][i]); err != nil {
				return err
			}
		}
		name := moduleName(path)
		order = append(order, name)
		return uncompress(ctx, filepath.Join(f.modules(), path), filepath.Join(folder, name))
	}
	for _, wanted := range bootModules {
		for path := range needs {
			if moduleName(path) == wanted {
				if err := add(path); err != nil {
					return err
				}
			}
		}
	}
	text := ""
	if len(order) > 0 {
		text = strings.Join(order, "\n") + "\n"
	}
	return os.WriteFile(filepath.Join(folder, "order"), []byte(text), 0o644)
}

// dependencies returns, for each module's path, the paths of all that it needs.
func (f fetched) dependencies() (map[string][]string, error) {
	text, err := os.ReadFile(filepath.Join(f.modules(), "modules.dep"))
	if err != nil {
		return nil, err
	}
	needs := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		path, others, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("modules.dep of %s: %q has no colon", f.release, line)
		}
		needs[path] = strings.Fields(others)
	}
	return needs, nil
}

// moduleName returns virtio_pci for kernel/drivers/virtio/virtio_pci.ko.xz; the kernel knows no hyphens.
func moduleName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

func uncompress(ctx context.Context, from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if strings.HasSuffix(from, ".xz") {
		cmd := exec.CommandContext(ctx, "xz", "-dc")
		cmd.Stdin = bytes.NewReader(data)
		if data, err = cmd.Output(); err != nil {
			return fmt.Errorf("uncompress %s: %w", from, err)
		}
	}
	return os.WriteFile(to, data, 0o644)
}
