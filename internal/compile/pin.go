// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// defaultPinMode is what the kernel gives a pin.
const defaultPinMode fs.FileMode = 0o600

func (c *compiler) pin(key revision.Key) revision.Pin {
	pin := revision.Pin{Path: revision.DefaultPinPath(key), Mode: defaultPinMode}
	p := c.spec.Pin
	if p == nil {
		return pin
	}
	if p.Path != "" {
		pin.Path = p.Path
		c.checkPinPath(p.Path)
	}
	if p.Mode != "" {
		mode, err := strconv.ParseUint(p.Mode, 8, 32)
		if err != nil || mode > 0o777 {
			c.problems.add("spec.pin.mode", "%q is no octal mode (0000…0777)", p.Mode)
		}
		pin.Mode = fs.FileMode(mode)
	}
	pin.UID = c.ownerID("spec.pin.uid", p.UID)
	pin.GID = c.ownerID("spec.pin.gid", p.GID)
	return pin
}

func (c *compiler) ownerID(path string, id *int64) uint32 {
	if id == nil {
		return 0
	}
	if *id < 0 || *id >= math.MaxUint32 {
		c.problems.add(path, "%d is out of range (0…%d)", *id, math.MaxUint32-1)
		return 0
	}
	return uint32(*id)
}

// stateDir is where agents keep their own pins.
const stateDir = revision.PinRoot + "/_state"

func (c *compiler) checkPinPath(p string) {
	const at = "spec.pin.path"
	switch {
	case len(p) > 1024:
		c.problems.add(at, "has %d characters, at most 1024 are possible", len(p))
	case strings.HasPrefix(p, "/"):
		c.problems.add(at, "%q must be relative to the BPF file system", p)
	case slices.Contains(strings.Split(p, "/"), ".."):
		c.problems.add(at, "%q must not contain '..'", p)
	case strings.Contains(p, "."):
		c.problems.add(at, "%q must not contain '.', which the BPF file system reserves", p)
	case path.Clean(p) != p || strings.ContainsRune(p, 0):
		c.problems.add(at, "%q has an empty element", p)
	case p == stateDir || strings.HasPrefix(p, stateDir+"/") || p == revision.PinRoot:
		c.problems.add(at, "%q is reserved", p)
	}
	for _, element := range strings.Split(p, "/") {
		if len(element) > 255 {
			c.problems.add(at, "has an element of %d characters, at most 255 are possible", len(element))
		}
	}
}
