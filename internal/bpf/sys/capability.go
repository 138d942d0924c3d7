// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Capability is a Linux capability, see capabilities(7).
type Capability int

// The capabilities that operations on maps may need.
const (
	CapChown       Capability = unix.CAP_CHOWN
	CapSysResource Capability = unix.CAP_SYS_RESOURCE
	CapDACOverride Capability = unix.CAP_DAC_OVERRIDE
	CapNetAdmin    Capability = unix.CAP_NET_ADMIN
	CapSysAdmin    Capability = unix.CAP_SYS_ADMIN
	CapPerfmon     Capability = unix.CAP_PERFMON
	CapBPF         Capability = unix.CAP_BPF
)

// String is the name, for example "CAP_BPF".
func (c Capability) String() string {
	switch c {
	case CapChown:
		return "CAP_CHOWN"
	case CapSysResource:
		return "CAP_SYS_RESOURCE"
	case CapDACOverride:
		return "CAP_DAC_OVERRIDE"
	case CapNetAdmin:
		return "CAP_NET_ADMIN"
	case CapSysAdmin:
		return "CAP_SYS_ADMIN"
	case CapPerfmon:
		return "CAP_PERFMON"
	case CapBPF:
		return "CAP_BPF"
	}
	return fmt.Sprintf("capability %d", int(c))
}

// HasCapability says whether the calling thread has c in its effective set. CAP_SYS_ADMIN implies
// CAP_BPF and CAP_PERFMON for bpf(2).
func HasCapability(c Capability) (bool, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var data [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false, fmt.Errorf("read capabilities: %w", err)
	}
	has := func(c Capability) bool { return data[c/32].Effective&(1<<(c%32)) != 0 }
	return has(c) || ((c == CapBPF || c == CapPerfmon) && has(CapSysAdmin)), nil
}
