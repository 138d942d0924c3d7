// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/bpfmap-io/bpfmap-operator/internal/quota"
)

// layout is where one version of control groups has its files.
type layout struct {
	// mount is where the hierarchy is; marker is a file that the root of such
	// a hierarchy has, and other file systems mounted there don't.
	mount, marker             string
	limit, usage, reclaimable string
}

var (
	version2 = layout{"sys/fs/cgroup", "cgroup.controllers", "memory.max", "memory.current", "inactive_file"}
	version1 = layout{"sys/fs/cgroup/memory", "memory.usage_in_bytes", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}
)

// Limits are the limits of the groups of this process, from its own one upwards as far as it sees. root is
// "/".
func Limits(root string) ([]quota.CgroupLimit, error) {
	for _, l := range []layout{version2, version1} {
		mount := filepath.Join(root, l.mount)
		there, err := exists(filepath.Join(mount, l.marker))
		if err != nil {
			return nil, fmt.Errorf("look for memory cgroups: %w", err)
		}
		if !there {
			continue
		}
		own, err := l.ownPath(root)
		if err != nil {
			return nil, fmt.Errorf("find own memory cgroup: %w", err)
		}
		return l.limits(mount, own)
	}
	return nil, nil
}

// exists says whether there is a file. Only the kernel's answer that there is none means that.
func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return false, nil
	}
	return err == nil, err
}

// ownPath is the process's group below the mount. In a container without a cgroup namespace it is one of
// the host, which isn't there: then the mount itself is the process's.
func (l layout) ownPath(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return "", err
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		_, rest, _ := strings.Cut(line, ":")
		controllers, path, ok := strings.Cut(rest, ":")
		isOurs := controllers == "" && l == version2 || l == version1 && slices.Contains(strings.Split(controllers, ","), "memory")
		if !ok || !isOurs {
			continue
		}
		path = filepath.Clean("/" + path) // a group outside of the namespace begins with "/.."
		if there, err := exists(filepath.Join(root, l.mount, path)); there || err != nil {
			return path, err
		}
	}
	return "/", nil
}

func (l layout) limits(mount, own string) ([]quota.CgroupLimit, error) {
	var limits []quota.CgroupLimit
	for path := own; ; path = filepath.Dir(path) {
		c, ok, err := l.read(filepath.Join(mount, path))
		if err != nil {
			return nil, fmt.Errorf("read memory cgroup: %w", err)
		}
		if ok {
			limits = append(limits, c)
		}
		if path == "/" || path == "." {
			return limits, nil
		}
	}
}

// unlimited is from where on a limit of version 1 is none: the kernel shows the largest multiple of its
// page size.
const unlimited = math.MaxInt64 / 2

// read reads one group. ok is false for one without a limit.
func (l layout) read(dir string) (c quota.CgroupLimit, ok bool, err error) {
	text, err := os.ReadFile(filepath.Join(dir, l.limit))
	switch {
	case errors.Is(err, fs.ErrNotExist): // the root of version 2, or a group without the controller
		return c, false, nil
	case err != nil:
		return c, false, err
	case strings.TrimSpace(string(text)) == "max":
		return c, false, nil
	}
	if c.Limit, err = number(text); err != nil || c.Limit >= unlimited {
		return c, false, err
	}
	if text, err = os.ReadFile(filepath.Join(dir, l.usage)); err != nil {
		return c, false, err
	}
	if c.Used, err = number(text); err != nil {
		return c, false, err
	}
	reclaimable, err := l.readReclaimable(dir)
	c.Used -= min(reclaimable, c.Used)
	return c, err == nil, err
}

// readReclaimable is the file cache that was not used lately, which the kernel gives up before it refuses
// anything.
func (l layout) readReclaimable(dir string) (int64, error) {
	text, err := os.ReadFile(filepath.Join(dir, "memory.stat"))
	if err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if name, value, _ := strings.Cut(lines.Text(), " "); name == l.reclaimable {
			return number([]byte(value))
		}
	}
	return 0, nil
}

func number(text []byte) (int64, error) {
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}
