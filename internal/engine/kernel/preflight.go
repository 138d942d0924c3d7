// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/mounts"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
)

// Preflight says whether maps can be managed here at all: a BPF file system is mounted at bpffs, a path of the
// node, and writable, its directory bpfmap is nobody else's, and the kernel makes and freezes maps for this process. root is
// where this process finds the node's file system. Errors are engine.Reasoners with the reasons of a BPFNodeState's
// condition Ready; their messages say what to do.
func Preflight(root mounts.Root, bpffs string) error {
	confined := bpf.Confined(string(root))
	if err := checkMount(root.Here(bpffs), bpffs, confined); err != nil {
		return err
	}
	if err := checkState(root.Here(bpffs), bpffs); err != nil {
		return err
	}
	return checkKernel(confined)
}

// checkState looks whether somebody else has taken the place of our directories: anybody can who may write to the root of
// the BPF file system, which "mount -t bpf" lets everybody do.
func checkState(path, bpffs string) error {
	err := pinstore.New(path, pinstore.Options{ShownAs: bpffs}).Check()
	if errors.Is(err, pinstore.ErrOccupied) {
		return refuse(v1alpha1.ReasonBPFFSOccupied, "%w: see who made it, remove it as root, and let only root write to %s (chmod 0755 %s)", err, bpffs, bpffs)
	}
	return nil // what else is wrong with them, each map says
}

func refuse(reason, format string, args ...any) error {
	return &engine.Error{ReasonCode: reason, Err: fmt.Errorf(format, args...)}
}

// readOnly is ST_RDONLY of statfs(2).
const readOnly = 1

// checkMount looks at the BPF file system that this process finds at path; bpffs is its path for people.
func checkMount(path, bpffs string, confined bpf.Confinement) error {
	is, err := bpf.IsBPFFS(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return refuse(v1alpha1.ReasonBPFFSMissing, "%s does not exist: create it and mount the BPF file system there (mount -t bpf bpf %s)", bpffs, bpffs)
	case err != nil:
		return refuse(v1alpha1.ReasonBPFFSMissing, "look for the BPF file system at %s: %w", bpffs, cause(err))
	case !is:
		return refuse(v1alpha1.ReasonBPFFSMissing, "no BPF file system is mounted at %s: mount -t bpf bpf %s", bpffs, bpffs)
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return refuse(v1alpha1.ReasonBPFFSMissing, "look at the BPF file system at %s: %w", bpffs, err)
	}
	if st.Flags&readOnly != 0 {
		return refuse(v1alpha1.ReasonBPFFSReadOnly, "the BPF file system at %s is mounted read-only: mount -o remount,rw %s", bpffs, bpffs)
	}
	return checkWritable(path, bpffs, confined)
}

// probePrefix begins the names of directories that only show whether any can be made. No namespace begins
// so.
const probePrefix = "_bpfmap_probe_"

// checkWritable makes and removes a directory, and removes those that a process left which died in between.
func checkWritable(path, bpffs string, confined bpf.Confinement) error {
	dir, err := os.MkdirTemp(path, probePrefix)
	if err != nil {
		return refuse(v1alpha1.ReasonBPFFSReadOnly, "the BPF file system at %s can't be written to: %w (%s)", bpffs, cause(err), whyDenied(err, confined))
	}
	// Another process that checks may have removed it already, taking it for what a dead one left.
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return refuse(v1alpha1.ReasonBPFFSReadOnly, "could not remove the probe directory from the BPF file system at %s: %w", bpffs, cause(err))
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return refuse(v1alpha1.ReasonBPFFSReadOnly, "the BPF file system at %s can't be read: %w (%s)", bpffs, cause(err), whyDenied(err, confined))
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), probePrefix) {
			_ = os.Remove(filepath.Join(path, e.Name())) // what is not empty is not a probe's
		}
	}
	return nil
}

// cause is an error without the path of this process, which people on the node don't know.
func cause(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

func checkKernel(confined bpf.Confinement) error {
	m, err := bpf.Create(bpf.CreateOpts{Type: bpf.Array, Name: "bpfmap_probe", KeySize: 4, ValueSize: 4, MaxEntries: 1})
	switch {
	case errors.Is(err, bpf.ErrMemlockLimit):
		return refuse(v1alpha1.ReasonMissingCapability, "maps can't be created: %w", err)
	case errors.Is(err, bpf.ErrNotPermitted):
		way := ""
		switch may := bpf.MayCreate(); {
		case !may && inPod():
			way = ": add the capability BPF to the agent"
		case may && confined.Module == bpf.SELinux: // AppArmor doesn't know bpf(2)
			way = ": " + wayOut(confined)
		}
		return refuse(v1alpha1.ReasonMissingCapability, "maps can't be created: %w%s", err, way)
	case err != nil:
		return refuse(v1alpha1.ReasonKernelUnsupported, "maps can't be created: %w: Linux 5.8 or newer with CONFIG_BPF_SYSCALL is required", err)
	}
	if err := errors.Join(m.Freeze(), m.Close()); err != nil {
		return refuse(v1alpha1.ReasonKernelUnsupported, "maps can't be frozen: %w: Linux 5.8 or newer is required", err)
	}
	return nil
}
