// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

func (k kernel) qemu() string {
	if k.arch == "arm64" {
		return "qemu-system-aarch64"
	}
	return "qemu-system-x86_64"
}

// qemuArgs describes the machine. The CPU model is a fixed one and its CPUs share a thread: with -cpu max and
// a thread each, every fifth boot ended in a panic over the APIC's timer.
func (m machine) qemuArgs(kernel fetched, initramfs, console, work string, shares []share) []string {
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-accel", "tcg,thread=single",
		"-smp", strconv.Itoa(m.cpus),
		"-m", m.memory,
		"-object", "memory-backend-memfd,id=memory,share=on,size=" + m.memory,
		"-serial", "file:" + console,
		"-device", "virtio-rng-pci",
		"-device", "virtio-serial-pci",
		"-chardev", "stdio,id=output,signal=off",
		"-device", "virtserialport,chardev=output,name=output",
		"-kernel", kernel.vmlinuz(),
		"-initrd", initramfs,
	}
	// The kernel's command line: a panic or an oops ends the machine; page tables that are switched at each
	// system call cost an emulated one more than anything else.
	line := "panic=-1 oops=panic nopti security=" + m.security
	if m.kernel.arch == "arm64" {
		args = append(args, "-machine", "virt,memory-backend=memory", "-cpu", "cortex-a57")
		line += " console=ttyAMA0"
	} else {
		args = append(args, "-machine", "q35,memory-backend=memory", "-cpu", "Skylake-Server-v1")
		line += " console=ttyS0"
	}
	for _, s := range shares {
		args = append(args,
			"-chardev", "socket,id="+s.tag+",path="+s.socket(work),
			"-device", "vhost-user-fs-pci,chardev="+s.tag+",tag="+s.tag)
	}
	return append(args, "-append", line)
}

// share is a folder of the host that the machine mounts by its tag.
type share struct {
	tag    string
	folder string
}

func (s share) socket(work string) string { return filepath.Join(work, s.tag+".socket") }

// serve starts the file server of the share, which ends with the machine.
func (s share) serve(ctx context.Context, work string) error {
	program, args, err := virtiofsd(s.socket(work), s.folder)
	if err != nil {
		return err
	}
	var complaints bytes.Buffer
	server := child(ctx, program, args...)
	server.Stderr = &complaints
	if err := server.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if _, err := os.Stat(s.socket(work)); err == nil {
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("virtiofsd of %s ended: %w\n%s", s.folder, err, complaints.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return fmt.Errorf("virtiofsd of %s made no socket within a minute", s.folder)
}

// virtiofsd returns the file server's command: QEMU's own, which QEMU 8 no longer has, or the one that
// followed it, a package of its own.
func virtiofsd(socket, folder string) (string, []string, error) {
	for _, program := range []string{"/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd"} {
		if _, err := os.Stat(program); err != nil {
			continue
		}
		if program == "/usr/lib/qemu/virtiofsd" {
			return program, []string{"--socket-path=" + socket, "--rlimit-nofile=0", "-o", "source=" + folder, "-o", "cache=always", "-o", "sandbox=chroot"}, nil
		}
		return program, []string{"--socket-path=" + socket, "--rlimit-nofile=0", "--shared-dir=" + folder, "--cache=always", "--sandbox=chroot"}, nil
	}
	return "", nil, errors.New("virtiofsd was not found in /usr/lib/qemu or /usr/libexec: install the package qemu-system-common or virtiofsd")
}

// installPackages installs what a machine needs and is missing, one caller at a time. More are packages of tests, as
// hack/packages.sh takes them.
func installPackages(ctx context.Context, k kernel, more ...string) error {
	cache, err := k.folder()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(cache), 0o755); err != nil {
		return err
	}
	unlock, err := lock(filepath.Join(filepath.Dir(cache), "packages.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	script, err := besides("hack/packages.sh")
	if err != nil {
		return err
	}
	system := "qemu-system-x86"
	if k.arch == "arm64" {
		system = "qemu-system-arm"
	}
	wanted := []string{k.qemu() + ":" + system, "depmod:kmod", "cpio:cpio", "xz:xz-utils"}
	if _, _, err := virtiofsd("", ""); err != nil {
		wanted = append(wanted, "/usr/libexec/virtiofsd:virtiofsd")
	}
	cmd := exec.CommandContext(ctx, script, append(wanted, more...)...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("install the packages of the machine: %w", err)
	}
	return nil
}

// besides returns the path of a file of this project; the program is built into its folder bin.
func besides(path string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	return filepath.Join(filepath.Dir(filepath.Dir(self)), path), nil
}
