// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
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

// parseElemFlags reads the values of --flags.
func parseElemFlags(names []string) (bpf.ElemFlags, error) {
	var flags bpf.ElemFlags
	for _, name := range names {
		i := slices.IndexFunc(elemFlags, func(f elemFlag) bool { return strings.EqualFold(f.name, name) })
		if i < 0 {
			return 0, Usagef("--flags %s: must be one of %s%s", name, elemFlagNames(), schema.Suggest(name, strings.Split(elemFlagNames(), ", ")))
		}
		flags |= elemFlags[i].flag
	}
	return flags, nil
}

func elemFlagNames() string {
	names := make([]string, len(elemFlags))
	for i, f := range elemFlags {
		names[i] = f.name
	}
	return strings.Join(names, ", ")
}

// everyCPU is the value of --cpu that names none.
const everyCPU = -1

// checkCPU says whether cpu, the value of --cpu, makes sense for a map whose elements have slots values; 0
// for maps that are not per CPU.
func checkCPU(cpu, slots int, flags bpf.ElemFlags) error {
	switch {
	case cpu == everyCPU && flags&bpf.CPU != 0:
		return errors.New("--flags CPU needs the number of the CPU: use --cpu instead")
	case cpu == everyCPU:
		return nil
	case flags&bpf.AllCPUs != 0:
		return errors.New("--cpu and --flags AllCPUs exclude each other")
	case slots == 0:
		return errors.New("--cpu: this is not a per-CPU map")
	case cpu < 0 || cpu >= slots:
		return fmt.Errorf("--cpu %d: must be between 0 and %d", cpu, slots-1)
	}
	return nil
}

// parseMapType reads --type.
func parseMapType(name string) (bpf.MapType, error) {
	t, err := bpf.ParseMapType(name)
	if err != nil {
		names := mapTypeNames()
		return 0, Usagef("--type: %w%s, must be one of %s", err, schema.Suggest(name, names), strings.Join(names, ", "))
	}
	return t, nil
}

// parseMapFlags reads the names that bpf.MapFlags prints.
func parseMapFlags(names []string) (bpf.MapFlags, error) {
	var flags bpf.MapFlags
	for _, name := range names {
		flag, err := bpf.ParseMapFlag(name)
		if err != nil {
			return 0, Usagef("--flags: %w%s", err, schema.Suggest(name, mapFlagNames()))
		}
		flags |= flag
	}
	return flags, nil
}
