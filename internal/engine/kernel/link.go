// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// LinkOptions say what names in entries may stand for.
type LinkOptions struct {
	// NoInterfaces says that this process doesn't see the node's network interfaces, but those of a
	// network namespace of its own.
	NoInterfaces bool
	// Cgroups is where the cgroup2 file system is mounted; DefaultCgroups if empty.
	Cgroups string
	// AllowProgram says whether a map may hold the program pinned at path, relative to the BPF file
	// system. Nil allows all.
	AllowProgram func(key revision.Key, path string) error
}

// DefaultCgroups is where systemd and container runtimes mount cgroup2.
const DefaultCgroups = "/sys/fs/cgroup"

// Link finds what a name stands for on this node.
func (b *Backend) Link(_ context.Context, key revision.Key, link v1alpha1.Reference) (engine.Target, error) {
	switch link.Type {
	case v1alpha1.TypeIfindex:
		return b.linkInterface(link.Name)
	case v1alpha1.TypeMapRef:
		return b.linkMap(revision.Key{Namespace: key.Namespace, Name: link.Name})
	case v1alpha1.TypeProgPin:
		return b.linkProgram(key, link.Name)
	case v1alpha1.TypeCgroup, v1alpha1.TypeCgroupID:
		return b.linkCgroup(link)
	}
	return engine.Target{}, refuse(v1alpha1.NodeReasonInvalidRevision, "%q is no linked type of this version", link.Type)
}

func absent(format string, args ...any) error {
	return fmt.Errorf(format+" %w", append(args, engine.ErrAbsent)...)
}

func (b *Backend) linkInterface(name string) (engine.Target, error) {
	if b.links.NoInterfaces {
		return engine.Target{}, refuse(v1alpha1.NodeReasonNotPermitted,
			"interface %s: this agent doesn't see the node's interfaces (chart value agent.hostNetwork)", name)
	}
	i, err := net.InterfaceByName(name)
	if err != nil {
		return engine.Target{}, absent("interface %s", name) // the one error of an answer that came
	}
	return engine.Target{Read: uint64(i.Index), Write: uint64(i.Index)}, nil
}

func (b *Backend) linkMap(key revision.Key) (engine.Target, error) {
	m, err := b.pins.KeepAlive(key)
	if err != nil {
		return engine.Target{}, explain(err)
	}
	if m == nil {
		return engine.Target{}, absent("the map of BPFMap %s", key.Name)
	}
	info, err := m.Info()
	if err != nil {
		return engine.Target{}, errors.Join(explain(err), m.Close())
	}
	shape := shapeOf(info)
	return engine.Target{Read: uint64(info.ID), Write: uint64(m.FD()), Shape: &shape, Close: m.Close}, nil
}

func (b *Backend) linkProgram(key revision.Key, path string) (engine.Target, error) {
	if b.links.AllowProgram != nil {
		if err := b.links.AllowProgram(key, path); err != nil {
			return engine.Target{}, &engine.Error{ReasonWord: v1alpha1.NodeReasonPinNotAllowed, Err: err}
		}
	}
	p, err := b.pins.Program(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return engine.Target{}, absent("a program pinned at %s", path)
	case errors.Is(err, bpf.ErrNotProgram):
		return engine.Target{}, &engine.Error{ReasonWord: v1alpha1.NodeReasonInvalidReference, Err: err}
	case err != nil:
		return engine.Target{}, explain(err)
	}
	return engine.Target{Read: uint64(p.Info().ID), Write: uint64(p.FD()), Close: p.Close}, nil
}

// linkCgroup opens a cgroup, which no symbolic link leads out of the mount.
func (b *Backend) linkCgroup(link v1alpha1.Reference) (engine.Target, error) {
	at := b.links.Cgroups
	if at == "" {
		at = DefaultCgroups
	}
	if err := checkCgroups(at); err != nil {
		return engine.Target{}, err
	}
	rel := strings.Trim(link.Name, "/")
	if rel == "" {
		rel = "."
	}
	dir, err := os.OpenInRoot(at, rel)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return engine.Target{}, absent("cgroup %s", link.Name)
	case err != nil:
		return engine.Target{}, fmt.Errorf("open cgroup %s: %w", link.Name, err)
	}
	st, err := dir.Stat()
	if err != nil {
		return engine.Target{}, errors.Join(fmt.Errorf("look at cgroup %s: %w", link.Name, err), dir.Close())
	}
	id := st.Sys().(*syscall.Stat_t).Ino // of kernfs: the cgroup's id
	if link.Type == v1alpha1.TypeCgroupID {
		return engine.Target{Read: id, Write: id}, dir.Close()
	}
	return engine.Target{Read: id, Write: uint64(dir.Fd()), Close: dir.Close}, nil
}

// cgroup2Magic is CGROUP2_SUPER_MAGIC.
const cgroup2Magic = 0x63677270

func checkCgroups(at string) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(at, &st); err != nil || st.Type != cgroup2Magic {
		return refuse(v1alpha1.NodeReasonNotSupported, "no cgroup2 file system is mounted at %s", at)
	}
	return nil
}

// Users are the programs that use a map. Others may hold it, too: processes, and maps of maps.
func (b *Backend) Users(_ context.Context, mapID uint32) ([]string, error) {
	m, err := bpf.GetFDByID(mapID)
	switch {
	case errors.Is(err, bpf.ErrNotExist):
		return nil, absent("map %d", mapID)
	case errors.Is(err, bpf.ErrNotPermitted):
		return nil, fmt.Errorf("who uses map %d %w: %w", mapID, engine.ErrUnknown, err)
	case err != nil:
		return nil, explain(err)
	}
	if err := m.Close(); err != nil {
		return nil, explain(err)
	}
	programs, err := bpf.ProgramsUsing(mapID)
	if err != nil {
		return nil, explain(err)
	}
	users := make([]string, len(programs))
	for i, p := range programs {
		users[i] = p.String()
	}
	return users, nil
}
