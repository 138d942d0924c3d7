// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// explain turns a failure of an operation on an open map into an Error: it is the one place that
// knows what an errno means for which map type.
func (m *Map) explain(op string, flags ElemFlags, err error) error {
	if sys.IsNotExist(err) {
		return m.notExist(op)
	}
	e := &Error{Op: op, Map: m.describe(), Err: err}
	switch {
	case sys.IsExist(err):
		e.Kind = ErrExist
	case sys.IsTooBig(err) && m.traits.IndexKey:
		e.Kind, e.Hint = ErrOutOfRange, fmt.Sprintf("max_entries %d", m.max)
	case sys.IsTooBig(err), sys.IsNoSpace(err) && m.traits.FullIsENOSPC:
		e.Kind, e.Hint = ErrFull, fmt.Sprintf("max_entries %d", m.max)
	case sys.IsNotSupp(err):
		e.Kind = ErrNotSupported
	case sys.IsNoMemory(err):
		e.Kind = ErrNoMemory
	case sys.IsInvalid(err) && flags&(CPU|AllCPUs) != 0 && flags&(NoExist|Exist|Lock) != 0:
		e.Kind, e.Hint = ErrNotSupported, "CPU and AllCPUs go with no other flag"
	case sys.IsInvalid(err) && flags&(CPU|AllCPUs) != 0:
		e.Kind, e.Hint = ErrNotSupported, "this kernel has no "+(flags&(CPU|AllCPUs)).String()
	case sys.IsInvalid(err) && flags&Lock != 0:
		e.Kind, e.Hint = ErrNotSupported, "Lock needs a bpf_spin_lock in the BTF of the value"
	case sys.IsPermission(err):
		e.Hint, e.Kind = m.whyNotPermitted(op)
	case m.contended(err):
		e.Kind, e.Hint = ErrBusy, "programs or others hold its lock: try again"
	}
	return e
}

// notExist is the error of operations on elements that aren't there. That is nothing unusual, so it
// costs no allocation.
func (m *Map) notExist(op string) error {
	for i := range m.missing {
		if m.missing[i].Op == op {
			return &m.missing[i]
		}
	}
	return &Error{Op: op, Map: m.describe(), Kind: ErrNotExist, Err: sys.ENOENT}
}

// whyNotPermitted asks what EPERM doesn't tell: operations on elements need no capability, so it is
// a frozen map or the mode of the handle.
func (m *Map) whyNotPermitted(op string) (hint string, kind error) {
	info, err := m.FDInfo()
	if err == nil && info.Frozen && op != opLookup && op != opNextKey {
		return "user space can't write to it any more", ErrFrozen
	}
	return "the handle was opened read-only or write-only", ErrNotPermitted
}

// createError explains a failed creation.
func createError(o CreateOpts, err error) error {
	e := &Error{Op: "create map", Map: o.Type.String(), Err: err}
	if o.Name != "" {
		e.Map += " " + o.Name
	}
	switch {
	case sys.IsPermission(err):
		e.Kind, e.Hint = ErrNotPermitted, missing(createCapabilities(o.Type))
	case sys.IsNotSupp(err):
		e.Kind, e.Hint = ErrNotSupported, newerThan(runningKernel(), o.Type, o.Flags)
	case sys.IsInvalid(err) && isDisabled(o.Type):
		e.Kind, e.Hint = ErrNotSupported, "the feature "+o.Type.String()+" is disabled on this node"
	case sys.IsInvalid(err) && !knownByKernel(o.Type):
		e.Kind, e.Hint = ErrNotSupported, "this kernel doesn't know the type"+cameWith(o.Type)
	case (sys.IsInvalid(err) || sys.IsTooBig(err)) && o.ExclProgHash != nil && runningKernel().Before(exclusiveMaps):
		e.Kind, e.Hint = ErrNotSupported, fmt.Sprintf("exclusive maps need %s, this is %s", exclusiveMaps, runningKernel())
	case sys.IsInvalid(err):
		e.Hint = fmt.Sprintf("key_size %d, value_size %d, max_entries %d, flags %s", o.KeySize, o.ValueSize, o.MaxEntries, o.Flags)
		if newer := newerThan(runningKernel(), o.Type, o.Flags); newer != "" {
			e.Kind, e.Hint = ErrNotSupported, e.Hint+"; "+newer
		}
	case sys.IsTooBig(err):
		e.Hint = fmt.Sprintf("key_size %d, value_size %d, max_entries %d are over the limits of the type", o.KeySize, o.ValueSize, o.MaxEntries)
	case sys.IsNoMemory(err):
		e.Kind, e.Hint = ErrNoMemory, "no kernel memory, or the memory cgroup limit is reached"
	}
	return e
}

// exclusiveMaps is the release that brought maps for one program.
var exclusiveMaps = maptype.Kernel{Major: 6, Minor: 18}

// cameWith is the release that brought a type, for the end of a sentence; empty if it isn't in the table.
func cameWith(t MapType) string {
	known := maptype.ByNumber(uint32(t))
	if known == nil {
		return ""
	}
	return ": it came with " + known.Since.String()
}

// newerThan names the flags that came with a later kernel than the running one; empty if there are none,
// or if the running one isn't known. Distributions carry flags to older kernels, so it explains a refusal
// and never makes one.
func newerThan(running maptype.Kernel, t MapType, flags MapFlags) string {
	if (running == maptype.Kernel{}) {
		return ""
	}
	known := maptype.ByNumber(uint32(t)).Or()
	var all []string
	for _, f := range maptype.Flags(flags).Split() {
		if since := known.FlagSince(f); running.Before(since) {
			all = append(all, fmt.Sprintf("flag %s needs %s", f.Name, since))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return strings.Join(all, ", ") + fmt.Sprintf(", this is %s", running)
}

// runningKernel is this machine's release; zero if it can't be told.
var runningKernel = sync.OnceValue(func() maptype.Kernel {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	var k maptype.Kernel
	if _, scanErr := fmt.Sscanf(string(text), "%d.%d", &k.Major, &k.Minor); err != nil || scanErr != nil {
		return maptype.Kernel{}
	}
	return k
})

func createCapabilities(t MapType) []sys.Capability {
	if maptype.ByNumber(uint32(t)).Or().NetAdmin {
		return []sys.Capability{sys.CapBPF, sys.CapNetAdmin}
	}
	return []sys.Capability{sys.CapBPF}
}

// missing names those of caps that the calling thread lacks.
func missing(caps []sys.Capability) string {
	hint := ""
	for _, c := range caps {
		if has, err := sys.HasCapability(c); err == nil && !has {
			if hint != "" {
				hint += " and "
			}
			hint += c.String()
		}
	}
	if hint == "" {
		return "no capability is missing: a security module or a seccomp filter may forbid it"
	}
	return "missing " + hint
}
