// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package counts

import (
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"sync"

	"github.com/cilium/ebpf/btf"
)

// What the programs refer to in the kernel's BTF.
const (
	sumFunc      = "bpf_map_sum_elem_count"
	trieStruct   = "lpm_trie"
	entriesField = "n_entries"
)

// types is where this kernel keeps the counts; zero for what it doesn't have or tell.
type types struct {
	sum       btf.TypeID // of sumFunc
	entriesAt int16      // offset of entriesField in trieStruct, which begins with its struct bpf_map
}

// kernelTypes reads the kernel's BTF once. The error is why a field of the result is zero.
var kernelTypes = sync.OnceValues(func() (types, error) {
	found, err := readKernelTypes()
	// Ten megabytes were needed for two numbers: an agent that has little to do would keep them for
	// minutes, since nothing else makes it collect.
	debug.FreeOSMemory()
	return found, err
})

func readKernelTypes() (types, error) {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return types{}, fmt.Errorf("read the kernel's BTF: %w", err)
	}
	var found types
	var fn *btf.Func
	if err = spec.TypeByName(sumFunc, &fn); err == nil {
		found.sum, err = spec.TypeID(fn)
	}
	var entriesErr error
	found.entriesAt, entriesErr = entriesOffset(spec)
	return found, errors.Join(err, entriesErr)
}

func entriesOffset(spec *btf.Spec) (int16, error) {
	var trie *btf.Struct
	if err := spec.TypeByName(trieStruct, &trie); err != nil {
		return 0, err
	}
	for _, m := range trie.Members {
		size, err := btf.Sizeof(m.Type)
		if m.Name == entriesField && err == nil && size == 8 && m.Offset.Bytes() <= math.MaxInt16 {
			return int16(m.Offset.Bytes()), nil
		}
	}
	return 0, fmt.Errorf("struct %s has no %s of 8 bytes", trieStruct, entriesField)
}
