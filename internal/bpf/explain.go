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
		e.Kind, e.Hint = ErrNotSupported, m.opCameWith(op)
	case sys.IsNoMemory(err):
		e.Kind = ErrNoMemory
	case sys.IsInvalid(err) && flags&(CPU|AllCPUs) != 0 && flags&(NoExist|Exist|Lock) != 0:
		e.Kind, e.Hint = ErrNotSupported, "CPU and AllCPUs go with no other flag"
	case sys.IsInvalid(err) && flags&(CPU|AllCPUs) != 0:
		e.Kind, e.Hint = ErrNotSupported, "this kernel has no "+(flags&(CPU|AllCPUs)).String()
	case sys.IsInvalid(err) && flags != Any && m.opCameWith(op) != "": // it knows no flags of it either
		e.Kind, e.Hint = ErrNotSupported, m.opCameWith(op)
	case sys.IsInvalid(err) && flags&Lock != 0:
		e.Kind, e.Hint = ErrNotSupported, "Lock needs a bpf_spin_lock in the BTF of the value"
	case sys.IsInvalid(err) && flags == Any && op == opUpdate && (m.typ == ArrayOfMaps || m.typ == HashOfMaps):
		e.Hint = "the inner map must be as the template: its type, sizes and flags, and of arrays max_entries"
	case sys.IsPermission(err):
		e.Hint, e.Kind = m.whyNotPermitted(op)
	case m.contended(err):
		e.Kind, e.Hint = ErrBusy, "programs or others hold its lock: try again"
	}
	return e
}

// opCameWith is the release that brought an operation for the type of m, if the running kernel is older.
func (m *Map) opCameWith(op string) string {
	command, ok := commands[op]
	known, running := maptype.ByNumber(uint32(m.typ)), runningKernel()
	if !ok || known == nil || (running == maptype.Kernel{}) {
		return ""
	}
	if since := known.OpSince(command); running.Before(since) {
		return fmt.Sprintf("for %s it came with %s, this is %s", m.typ, since, running)
	}
	return ""
}

// commands are the operations that some types got later than others.
var commands = map[string]maptype.Ops{
	opLookupAndDelete: maptype.LookupAndDelete, opDrainBatch: maptype.LookupAndDeleteBatch,
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

// whyNotPermitted asks what EPERM doesn't tell: it is a frozen map, the mode of the handle, or a capability, which
// older kernels want for every operation (maptype.OpenHandles, maptype.FreezeByHandle).
func (m *Map) whyNotPermitted(op string) (hint string, kind error) {
	info, err := m.FDInfo()
	if err == nil && info.Frozen && op != opLookup && op != opNextKey {
		return "user space can't write to it any more", ErrFrozen
	}
	switch m.mode {
	case RdOnly:
		return "the handle was opened read-only", ErrNotPermitted
	case WrOnly:
		return "the handle was opened write-only", ErrNotPermitted
	}
	return missing([]sys.Capability{sys.CapBPF}), ErrNotPermitted
}

// createError explains a failed creation.
func createError(o CreateOpts, err error) error {
	e := &Error{Op: "create map", Map: o.Type.String(), Err: err}
	if o.Name != "" {
		e.Map += " " + o.Name
	}
	switch {
	case sys.IsPermission(err):
		e.Hint, e.Kind = refused(createCapabilities(o.Type), o.leastBytes())
	case sys.IsNotSupp(err):
		e.Kind, e.Hint = ErrNotSupported, newerThan(runningKernel(), o.Type, o.Flags)
	case sys.IsInvalid(err) && isDisabled(o.Type):
		e.Kind, e.Hint = ErrNotSupported, "the feature "+o.Type.String()+" is disabled on this node"
	case sys.IsInvalid(err) && !knownByKernel(o.Type):
		e.Kind, e.Hint = ErrNotSupported, "this kernel doesn't know the type"+cameWith(o.Type)
	case sys.IsInvalid(err):
		e.Hint = fmt.Sprintf("key_size %d, value_size %d, max_entries %d, flags %s", o.KeySize, o.ValueSize, o.MaxEntries, o.Flags)
		e.Hint += o.tighter(runningKernel())
		if newer := o.newer(runningKernel()); newer != "" {
			e.Kind, e.Hint = ErrNotSupported, e.Hint+"; "+newer
		}
	case sys.IsTooBig(err) && o.newer(runningKernel()) != "": // attributes beyond those that it knows
		e.Kind, e.Hint = ErrNotSupported, o.newer(runningKernel())
	case sys.IsTooBig(err):
		e.Hint = fmt.Sprintf("key_size %d, value_size %d, max_entries %d are over the limits of the type", o.KeySize, o.ValueSize, o.MaxEntries)
		e.Hint += o.tighter(runningKernel())
	case sys.IsNoMemory(err):
		e.Kind, e.Hint = ErrNoMemory, "no kernel memory, or the memory cgroup limit is reached"
	}
	return e
}

// tighter tells the limits of sizes that a kernel has and newer ones don't, as far as o may be over them.
func (o CreateOpts) tighter(running maptype.Kernel) (text string) {
	if (running == maptype.Kernel{}) {
		return ""
	}
	known := maptype.ByNumber(uint32(o.Type)).Or()
	page := uint32(os.Getpagesize())
	for _, c := range []struct {
		b    *maptype.Behaviour
		over bool
	}{
		{&maptype.LargeMaps, o.leastBytes() >= 3<<30}, // the kernel's own share comes on top
		{&maptype.LongHashKeys, known.MaxElement > 0 && (o.KeySize > 512 || o.KeySize+o.ValueSize > uint32(known.MaxElement)-512)},
		{&maptype.LargeTrieValues, o.Type == LPMTrie && o.ValueSize > 4_194_008},
		{&maptype.LargeCGroupStorage, (o.Type == CGroupStorage || o.Type == PerCPUCGroupStorage) && o.ValueSize > page-128},
	} {
		if after, _ := c.b.On(running); c.over && !after {
			text += fmt.Sprintf("; before %s %s, this is %s", c.b.Since, c.b.Before, running)
		}
	}
	return text
}

// cameWith is the release that brought a type, for the end of a sentence; empty if it isn't in the table.
func cameWith(t MapType) string {
	known := maptype.ByNumber(uint32(t))
	if known == nil {
		return ""
	}
	return ": it came with " + known.Since.String()
}

// newer names what of o came with a later kernel than the running one, as newerThan does.
func (o CreateOpts) newer(running maptype.Kernel) string {
	var all []string
	for _, a := range []struct {
		is    bool
		what  string
		since maptype.Kernel
	}{
		{o.MapExtra != 0, "map_extra", maptype.Kernel{Major: 5, Minor: 16}},
		{len(o.ExclProgHash) > 0, "an exclusive map", maptype.Kernel{Major: 6, Minor: 18}},
	} {
		if a.is && (running != maptype.Kernel{}) && running.Before(a.since) {
			all = append(all, fmt.Sprintf("%s needs %s, this is %s", a.what, a.since, running))
		}
	}
	if flags := newerThan(running, o.Type, o.Flags); flags != "" {
		all = append(all, flags)
	}
	return strings.Join(all, "; ")
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

// refused says why the kernel answers EPERM to a call that needs caps, and at least a number of bytes that may
// be charged to RLIMIT_MEMLOCK: a capability, that limit, or what can't be told.
func refused(caps []sys.Capability, least uint64) (hint string, kind error) {
	if hint := lacking(caps); hint != "" {
		return hint, ErrNotPermitted
	}
	if hint, over := overMemlock(least); over {
		return hint, ErrMemlockLimit
	}
	return missing(caps), ErrNotPermitted
}

// LoadRefused explains why the kernel didn't load a program that needs caps: ErrNotPermitted with the capability
// that is missing, or ErrMemlockLimit. kind is nil if err has other reasons, which the verifier may tell.
func LoadRefused(err error, caps ...sys.Capability) (hint string, kind error) {
	if !sys.IsPermission(err) {
		return "", nil
	}
	if hint := lacking(caps); hint != "" {
		return hint, ErrNotPermitted
	}
	if hint, over := overMemlock(0); over && sys.IsNotPermitted(err) {
		return hint, ErrMemlockLimit
	}
	return "", nil
}

// missing names those of caps that the calling thread lacks, or says that it is something else.
func missing(caps []sys.Capability) string {
	if hint := lacking(caps); hint != "" {
		return hint
	}
	return "no capability is missing: a seccomp filter may forbid it, or " + Confined("").String()
}

// lackingForAll names CAP_BPF, if it is missing where every command takes it (maptype.OpenHandles); else it is other.
func lackingForAll(other string) string {
	if after, _ := maptype.OpenHandles.On(runningKernel()); !after {
		if hint := lacking([]sys.Capability{sys.CapBPF}); hint != "" {
			return hint + ", which every command takes before " + maptype.OpenHandles.Since.String()
		}
	}
	return other
}

// lacking names those of caps that the calling thread lacks; empty if it has them all.
func lacking(caps []sys.Capability) string {
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
		return ""
	}
	return "missing " + hint
}
