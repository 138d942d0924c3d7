// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// PinPrefixes are the directories, relative to the BPF file system, in which a namespace may pin
// besides its own; those of AnyNamespace are for all.
type PinPrefixes map[string][]string

// AnyNamespace stands for every namespace in PinPrefixes.
const AnyNamespace = "*"

// ParsePinPrefixes reads "namespace=directory" as the agent's flag has it.
func ParsePinPrefixes(list []string) (PinPrefixes, error) {
	p := PinPrefixes{}
	for _, text := range list {
		namespace, dir, ok := strings.Cut(text, "=")
		dir = strings.TrimSuffix(dir, "/")
		if !ok || namespace == "" || dir == "" || path.Clean(dir) != dir || path.IsAbs(dir) || strings.HasPrefix(dir, "..") {
			return nil, fmt.Errorf("pin prefix %q is not NAMESPACE=DIRECTORY, with a directory relative to the BPF file system", text)
		}
		if dir == "." || dir == revision.PinRoot || strings.HasPrefix(dir, revision.PinRoot+"/_") {
			return nil, fmt.Errorf("pin prefix %q holds the pins of all namespaces or the agent's own state", text)
		}
		p[namespace] = append(p[namespace], dir)
	}
	return p, nil
}

// Allow says whether a map may be pinned at a path: below bpfmap/<namespace>/, or at or below a prefix of
// its namespace.
func (p PinPrefixes) Allow(key revision.Key, pin string) error {
	if err := revision.CheckPinPath(pin); err != nil {
		return fmt.Errorf("pin path %w", err)
	}
	below := func(dir string) bool { return pin == dir || strings.HasPrefix(pin, dir+"/") }
	if key.IsOwn(pin) || slices.ContainsFunc(p[key.Namespace], below) || slices.ContainsFunc(p[AnyNamespace], below) {
		return nil
	}
	places := "no other place by default"
	if others := slices.Concat(p[key.Namespace], p[AnyNamespace]); len(others) > 0 {
		slices.Sort(others)
		places = "no other place but " + strings.Join(slices.Compact(others), ", ")
	}
	dir := path.Dir(pin)
	if dir == "." {
		return fmt.Errorf("pin %s is not below %s, agents allow namespace %s %s, and the root of the BPF file system can't be allowed to a namespace: leave spec.pin.path out, or choose one in a directory that the administrator allows (chart value agent.allowedPinPrefixes)",
			pin, key.OwnDirectory(), key.Namespace, places)
	}
	return fmt.Errorf("pin %s is not below %s, and agents allow namespace %s %s: leave spec.pin.path out, or let the administrator set the chart value agent.allowedPinPrefixes: {%s: [%s]}, which is the agents' flag --allowed-pin-prefix=%s=%s",
		pin, key.OwnDirectory(), key.Namespace, places, key.Namespace, dir, key.Namespace, dir)
}
