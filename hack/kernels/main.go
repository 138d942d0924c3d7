// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kernels runs commands and this project's tests on other kernels, in virtual machines. The kernels
// are Debian's, the machines QEMU's without hardware support, so that it works wherever Debian does.
//
//	hack/kernels/run.sh [FLAG...] KERNEL -- COMMAND [ARGUMENT...]
//
// The command sees the host's files, in the folder it was called in, and runs as root. What it writes is
// kept in the machine's memory and gone at its end, but for the folder of -out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

func main() {
	// The machines die with the thread that started them.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := command(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "kernels: %v\n", err)
	}
	os.Exit(code)
}

// codeBroken is the exit status when there is none of the command's own.
const codeBroken = 125

func command(ctx context.Context, args []string) (int, error) {
	if len(args) == 0 {
		return codeBroken, errors.New("want a subcommand: run, test or render")
	}
	switch args[0] {
	case "run":
		return runCommand(ctx, args[1:])
	case "test":
		return testCommand(ctx, args[1:])
	case "render":
		if err := renderCommand("."); err != nil {
			return codeBroken, fmt.Errorf("render the table of kernels: %w", err)
		}
		return 0, nil
	default:
		return codeBroken, fmt.Errorf("unknown subcommand %q, want run, test or render", args[0])
	}
}

func runCommand(ctx context.Context, args []string) (int, error) {
	flags := flag.NewFlagSet("run.sh", flag.ContinueOnError)
	var machine machine
	flags.DurationVar(&machine.limit, "timeout", 10*time.Minute, "how long the command may take after the boot")
	flags.StringVar(&machine.memory, "memory", "2G", "the machine's memory, as QEMU spells it")
	flags.IntVar(&machine.cpus, "cpus", 2, "the machine's CPUs")
	flags.StringVar(&machine.security, "security", appArmor, "the machine's mandatory access control: "+appArmor+" or "+seLinux)
	flags.StringVar(&machine.out, "out", "", "a folder of the host that the command may write to, by the same path")
	flags.StringVar(&machine.console, "console", "", "a file that gets what the kernel printed")
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: hack/kernels/run.sh [FLAG...] KERNEL -- COMMAND [ARGUMENT...]\nKERNEL is one of %s\n", kernelNames())
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0, nil
		}
		return codeBroken, err
	}
	rest := flags.Args()
	if len(rest) < 3 || rest[1] != "--" {
		flags.Usage()
		return codeBroken, errors.New("want KERNEL -- COMMAND")
	}
	if machine.security != appArmor && machine.security != seLinux {
		return codeBroken, fmt.Errorf("unknown -security %q, want %s or %s", machine.security, appArmor, seLinux)
	}
	var err error
	if machine.kernel, err = kernelOf(rest[0]); err != nil {
		return codeBroken, err
	}
	machine.command = rest[2:]
	if machine.folder, err = os.Getwd(); err != nil {
		return codeBroken, err
	}
	if machine.out != "" {
		if machine.out, err = filepath.Abs(machine.out); err != nil {
			return codeBroken, err
		}
	}
	machine.output, machine.log = os.Stdout, os.Stderr
	return machine.run(ctx)
}
