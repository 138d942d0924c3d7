// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// elemFlag is a flag of element operations.
type elemFlag struct {
	name string
	flag bpf.ElemFlags
}

var elemFlags = []elemFlag{
	{"Any", bpf.Any}, {"NoExist", bpf.NoExist}, {"Exist", bpf.Exist},
	{"Lock", bpf.Lock}, {"CPU", bpf.CPU}, {"AllCPUs", bpf.AllCPUs},
}

func parseElemFlags(names []string) (bpf.ElemFlags, error) {
	var flags bpf.ElemFlags
	for _, name := range names {
		i := slices.IndexFunc(elemFlags, func(f elemFlag) bool { return strings.EqualFold(f.name, name) })
		if i < 0 {
			return 0, fmt.Errorf("flag %q is none of Any, NoExist, Exist, Lock, CPU, AllCPUs", name)
		}
		flags |= elemFlags[i].flag
	}
	return flags, nil
}

// parseMapFlags reads the names that bpf.MapFlags prints.
func parseMapFlags(names []string) (bpf.MapFlags, error) {
	var flags bpf.MapFlags
	for _, name := range names {
		flag, err := bpf.ParseMapFlag(name)
		if err != nil {
			return 0, err
		}
		flags |= flag
	}
	return flags, nil
}
