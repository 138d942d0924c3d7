// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import "github.com/cilium/ebpf/btf"

var (
	cU8   = &btf.Int{Name: "unsigned char", Size: 1}
	cU32  = &btf.Int{Name: "unsigned int", Size: 4}
	cChar = &btf.Int{Name: "char", Size: 1, Encoding: btf.Char}
)
