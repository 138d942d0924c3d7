// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// BTF is type information in the kernel. It owns a file descriptor.
type BTF struct {
	fd *sys.FD
}

// maxBTFLog bounds the verifier's log.
const maxBTFLog = 1 << 20

// LoadBTF is bpf_btf_load: it hands the kernel a blob of BTF (Linux 4.18). It needs CAP_BPF. If the
// kernel refuses, the error carries the verifier's log, for which the buffer grows as needed.
func LoadBTF(raw []byte) (*BTF, error) {
	fd, _, err := sys.LoadBTF(raw, nil, 0)
	if err == nil {
		return &BTF{fd: fd}, nil
	}
	if sys.IsPermission(err) {
		return nil, &Error{Op: "load BTF", Kind: ErrNotPermitted, Hint: missing([]sys.Capability{sys.CapBPF}), Err: err}
	}
	for size := 4096; size <= maxBTFLog; size *= 4 {
		log := make([]byte, size)
		fd, need, logErr := sys.LoadBTF(raw, log, 1)
		switch {
		case logErr == nil: // it went well the second time
			return &BTF{fd: fd}, nil
		case sys.IsNoSpace(logErr):
			size = max(size, need/4)
			continue
		}
		return nil, &Error{Op: "load BTF", Hint: cString(log), Err: logErr}
	}
	return nil, &Error{Op: "load BTF", Hint: fmt.Sprintf("the log is longer than %d bytes", maxBTFLog), Err: err}
}

// FD is the file descriptor while b is open; -1 afterwards.
func (b *BTF) FD() int { return b.fd.Raw() }

// Close closes the handle. Maps that use the BTF keep it alive.
func (b *BTF) Close() error { return b.fd.Close() }
