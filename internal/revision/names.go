// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strings"
)

// PinRoot is the directory of all default pins, relative to the BPF file system.
const PinRoot = "bpfmap"

// maxMapNameLen is BPF_OBJ_NAME_LEN without the terminating NUL.
const maxMapNameLen = 15

// DefaultPinPath is where a map is pinned if its spec doesn't say: bpfmap/<namespace>/<name>, with
// every '.' of the name turned into '_', since the BPF file system reserves '.'. Kubernetes names
// have no '_', so two names never share a path.
func DefaultPinPath(k Key) string {
	return path.Join(PinRoot, pinElement(k.Namespace), pinElement(k.Name))
}

func pinElement(s string) string { return strings.ReplaceAll(s, ".", "_") }

// MapName is the kernel's name of a map: the BPFMap's name with '-' turned into '_'. A name of more
// than 15 characters keeps its first ten, followed by '_' and four hex digits of the SHA-256 of
// namespace and name, so that tables of one prefix stay apart. It is a label: the kernel doesn't
// require it to be unique.
func MapName(k Key) string {
	name := strings.ReplaceAll(k.Name, "-", "_")
	if len(name) <= maxMapNameLen {
		return name
	}
	sum := sha256.Sum256([]byte(k.String()))
	return name[:10] + "_" + hex.EncodeToString(sum[:2])
}
