// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// PinRoot is the directory of all default pins, relative to the BPF file system.
const PinRoot = "bpfmap"

// maxPinPath and maxPinElement bound a pin's path and each of its elements, in characters.
const (
	maxPinPath    = 1024
	maxPinElement = 255
)

// Check says whether k names an object of Kubernetes: its parts become directories and pins.
func (k Key) Check() error {
	if problems := validation.IsDNS1123Label(k.Namespace); len(problems) > 0 {
		return fmt.Errorf("%q is not a valid name of a namespace: %s", k.Namespace, problems[0])
	}
	if problems := validation.IsDNS1123Subdomain(k.Name); len(problems) > 0 {
		return fmt.Errorf("%q is not a valid name of a BPFMap: %s", k.Name, problems[0])
	}
	return nil
}

// CheckPinPath says whether a pin may be at p, relative to the BPF file system, as far as that doesn't
// depend on who wants it. What is directly in PinRoot and begins with '_' is the agents'.
func CheckPinPath(p string) error {
	switch {
	case p == "":
		return errors.New("is empty")
	case len(p) > maxPinPath:
		return fmt.Errorf("has %d characters, at most %d are possible", len(p), maxPinPath)
	case strings.HasPrefix(p, "/"):
		return fmt.Errorf("%q must be relative to the BPF file system%s", p, relative(p))
	case slices.Contains(strings.Split(p, "/"), ".."):
		return fmt.Errorf("%q must not contain '..'", p)
	case strings.Contains(p, "."):
		return fmt.Errorf("%q must not contain '.', which the BPF file system reserves", p)
	case strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r > '~' }): // it is shown on terminals
		return fmt.Errorf("%q must consist of printable ASCII characters", p)
	case path.Clean(p) != p:
		return fmt.Errorf("%q has an empty element", p)
	case p == PinRoot || strings.HasPrefix(p, PinRoot+"/_"):
		return fmt.Errorf("%q is reserved", p)
	}
	for element := range strings.SplitSeq(p, "/") {
		if len(element) > maxPinElement {
			return fmt.Errorf("has an element of %d characters, at most %d are possible", len(element), maxPinElement)
		}
	}
	return nil
}

// relative is a hint what to write for a path below the usual mount point of the BPF file system.
func relative(p string) string {
	if rest := strings.Trim(strings.TrimPrefix(p, "/sys/fs/bpf/"), "/"); strings.HasPrefix(p, "/sys/fs/bpf/") && rest != "" {
		return fmt.Sprintf(" (write %q)", rest)
	}
	return ""
}

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
