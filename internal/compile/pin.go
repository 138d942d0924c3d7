// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"io/fs"
	"math"
	"strconv"

	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

func (c *compiler) pin(key revision.Key) revision.Pin {
	pin := revision.Pin{Path: revision.DefaultPinPath(key), Mode: revision.NewPinMode}
	p := c.spec.Pin
	if p == nil {
		return pin
	}
	if p.Path != "" {
		pin.Path = p.Path
		if err := revision.CheckPinPath(p.Path); err != nil {
			c.problems.add("spec.pin.path", "%s: agents allow %s/… and what the chart value agent.allowedPinPrefixes adds (without a path it is %s)",
				err, key.OwnDirectory(), revision.DefaultPinPath(key))
		}
	}
	if p.Mode != "" {
		mode, err := strconv.ParseUint(p.Mode, 8, 32)
		if err != nil || mode > 0o777 {
			c.problems.add("spec.pin.mode", "%q is not an octal mode (0000…0777)", p.Mode)
		}
		pin.Mode = fs.FileMode(mode)
		pin.Stated.Mode = pin.Mode == revision.NewPinMode
	}
	pin.UID = c.ownerID("spec.pin.uid", p.UID)
	pin.GID = c.ownerID("spec.pin.gid", p.GID)
	pin.Stated.UID, pin.Stated.GID = p.UID != nil && pin.UID == 0, p.GID != nil && pin.GID == 0
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
