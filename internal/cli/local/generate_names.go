// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"path"
	"strings"
)

// maxObjectName bounds the names of BPFMaps, so that those of their revisions fit.
const maxObjectName = 200

// objectName is the name that a BPFMap may have for a map of a program: C's in lower case, with '-' for what
// names of Kubernetes don't take. A section of variables is called as libbpf calls it: by the object and the section.
func objectName(prefix, object, name string) (string, error) {
	if strings.HasPrefix(name, ".") {
		name = object + name
	}
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else {
			b.WriteByte('-')
		}
	}
	k8s := strings.Trim(b.String(), "-")
	if k8s == "" {
		return "", fmt.Errorf("has no letter or digit that the name of a BPFMap could have: choose one with --map NAME=%s", name)
	}
	k8s = prefix + k8s
	if len(k8s) > maxObjectName {
		return "", fmt.Errorf("becomes the name %q of %d characters, at most %d are possible: choose one with --map NAME=%s", k8s, len(k8s), maxObjectName, name)
	}
	return k8s, nil
}

// objectBase is an object's file name without what follows its first dot: "firewall" for "build/firewall.bpf.o".
func objectBase(file string) string {
	base, _, _ := strings.Cut(path.Base(file), ".")
	return base
}

// chosenMaps are the maps of --map, by C's name: the name of its BPFMap, or nothing if it follows from C's.
type chosenMaps map[string]string

// parseChosen reads the values of --map: CNAME, or NAME=CNAME.
func parseChosen(values []string) (chosenMaps, error) {
	chosen := chosenMaps{}
	for _, v := range values {
		k8s, name, both := strings.Cut(v, "=")
		if !both {
			k8s, name = "", v
		}
		if name == "" || both && k8s == "" {
			return nil, fmt.Errorf("--map %s: must be the name of a map of the program, or NAME=MAP with the name of its BPFMap", v)
		}
		if _, twice := chosen[name]; twice {
			return nil, fmt.Errorf("--map %s: map %s is given twice", v, name)
		}
		chosen[name] = k8s
	}
	return chosen, nil
}
