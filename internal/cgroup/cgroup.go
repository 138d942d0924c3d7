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

	"github.com/bpfmap-io/bpfmap-operator/internal/quota"
)

// layout is where one version of control groups has its files.
type layout struct {
	// mount is where the hierarchy is; marker is a file that is in every group of it but may lack in
	// the root, or in a mount that isn't one.
	mount, marker             string
	limit, usage, reclaimable string
}

var (
	version2 = layout{"sys/fs/cgroup", "cgroup.controllers", "memory.max", "memory.current", "inactive_file"}
	version1 = layout{"sys/fs/cgroup/memory", "memory.usage_in_bytes", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}
)

// Rooms are the groups of this process that have a memory limit, from its own one upwards as far as it
// sees. root is "/".
func Rooms(root string) ([]quota.Room, error) {
	for _, l := range []layout{version2, version1} {
		mount := filepath.Join(root, l.mount)
		if _, err := os.Stat(filepath.Join(mount, l.marker)); err != nil {
			continue
		}
		own, err := l.ownPath(root)
		if err != nil {
			return nil, fmt.Errorf("find own memory cgroup: %w", err)
		}
		return l.rooms(mount, own)
	}
	return nil, nil
}

// ownPath is the process's group below the mount. In a container without a namespace of groups it is one
// of the host, which isn't there: then the mount itself is the process's.
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
		if _, err := os.Stat(filepath.Join(root, l.mount, path)); err == nil {
			return filepath.Clean(path), nil
		}
	}
	return "/", nil
}

func (l layout) rooms(mount, own string) ([]quota.Room, error) {
	var rooms []quota.Room
	for path := own; ; path = filepath.Dir(path) {
		room, ok, err := l.room(filepath.Join(mount, path))
		if err != nil {
			return nil, fmt.Errorf("read memory cgroup: %w", err)
		}
		if ok {
			rooms = append(rooms, room)
		}
		if path == "/" || path == "." {
			return rooms, nil
		}
	}
}

// unlimited is from where on a limit of version 1 is none: the kernel shows the largest multiple of its
// page size.
const unlimited = math.MaxInt64 / 2

// room reads one group. ok is false for one without a limit.
func (l layout) room(dir string) (room quota.Room, ok bool, err error) {
	text, err := os.ReadFile(filepath.Join(dir, l.limit))
	switch {
	case errors.Is(err, fs.ErrNotExist): // the root of version 2, or a group without the controller
		return room, false, nil
	case err != nil:
		return room, false, err
	case strings.TrimSpace(string(text)) == "max":
		return room, false, nil
	}
	if room.Limit, err = number(text); err != nil || room.Limit >= unlimited {
		return room, false, err
	}
	if text, err = os.ReadFile(filepath.Join(dir, l.usage)); err != nil {
		return room, false, err
	}
	if room.Used, err = number(text); err != nil {
		return room, false, err
	}
	reclaimable, err := l.readReclaimable(dir)
	room.Used -= min(reclaimable, room.Used)
	return room, err == nil, err
}

// readReclaimable is the file cache that nobody used lately, which the kernel gives up before it refuses
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
