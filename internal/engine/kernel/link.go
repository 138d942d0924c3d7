// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// ReferenceOptions say what names in entries may stand for.
type ReferenceOptions struct {
	// NoInterfaces says that this process doesn't see the node's network interfaces, but those of a
	// network namespace of its own.
	NoInterfaces bool
	// Cgroups is where this process finds the node's cgroup2 file system; DefaultCgroups if empty.
	Cgroups string
	// AllowProgram says whether a map may hold the program pinned at path, relative to the BPF file
	// system. Nil allows all.
	AllowProgram func(key revision.Key, path string) error
}

// DefaultCgroups is where systemd and container runtimes mount cgroup2.
const DefaultCgroups = "/sys/fs/cgroup"

// Resolve finds what a name stands for on this node.
func (b *Backend) Resolve(ctx context.Context, key revision.Key, link v1alpha1.Reference) (engine.Target, error) {
	if err := ctx.Err(); err != nil {
		return engine.Target{}, err
	}
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
	return engine.Target{}, refuse(v1alpha1.NodeReasonInvalidRevision, "%q is not a supported type of link", link.Type)
}

// isAbsent says of an error of opening a path that nothing is there. Any other error is one of looking, which
// says nothing about what is there.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

func absent(format string, args ...any) error {
	return fmt.Errorf(format+" %w", append(args, engine.ErrAbsent)...)
}

// linkInterface finds an interface by its name. Only the kernel's answer that there is none means that it is
// absent: entries are deleted for that.
func (b *Backend) linkInterface(name string) (engine.Target, error) {
	if b.links.NoInterfaces {
		return engine.Target{}, refuse(v1alpha1.NodeReasonNotPermitted,
			"interface %s: this agent doesn't see the node's interfaces (chart value agent.hostNetwork)", name)
	}
	i, err := netlink.LinkByName(name)
	switch {
	case errors.As(err, new(netlink.LinkNotFoundError)): // the kernel's ENODEV
		return engine.Target{}, absent("interface %s", name)
	case err != nil:
		return engine.Target{}, explain(fmt.Errorf("look up interface %s: %w", name, err))
	case i.Attrs().Name != name: // the kernel looks among alternative names, too (Linux 5.5), which may move
		return engine.Target{}, absent("interface %s", name)
	}
	index := uint64(i.Attrs().Index)
	return engine.Target{Read: index, Write: index}, nil
}

func (b *Backend) linkMap(key revision.Key) (engine.Target, error) {
	m, err := b.pins.KeepAlive(key)
	if err != nil {
		return engine.Target{}, explain(err)
	}
	if m == nil {
		return engine.Target{}, absent("map of BPFMap %s", key.Name)
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
			return engine.Target{}, &engine.Error{ReasonCode: v1alpha1.NodeReasonPinNotAllowed, Err: err}
		}
	}
	p, err := b.pins.Program(path)
	switch {
	case isAbsent(err):
		return engine.Target{}, absent("a program pinned at %s", path)
	case errors.Is(err, bpf.ErrNotProgram):
		return engine.Target{}, &engine.Error{ReasonCode: v1alpha1.NodeReasonInvalidReference, Err: err}
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
	case isAbsent(err):
		return engine.Target{}, absent("cgroup %s", link.Name)
	case err != nil:
		return engine.Target{}, explain(fmt.Errorf("open cgroup %s: %w", link.Name, err))
	}
	st, err := dir.Stat()
	if err != nil {
		return engine.Target{}, errors.Join(explain(fmt.Errorf("look at cgroup %s: %w", link.Name, err)), dir.Close())
	}
	if !st.IsDir() {
		return engine.Target{}, errors.Join(refuse(v1alpha1.NodeReasonInvalidReference, "%s is a file of a cgroup, not a cgroup", link.Name), dir.Close())
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
	err := syscall.Statfs(at, &st)
	switch {
	case err != nil && !isAbsent(err):
		return explain(fmt.Errorf("look for the cgroup2 file system at %s: %w", at, err))
	case err != nil || st.Type != cgroup2Magic:
		return refuse(v1alpha1.NodeReasonNotSupported, "no cgroup2 file system is mounted at %s (chart value agent.cgroups.enabled)", at)
	}
	return nil
}
