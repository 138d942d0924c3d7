// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command uapi prints what a kernel's header linux/bpf.h says about maps, as internal/uapi/newest.txt has it.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/bpfmap-io/bpfmap-operator/internal/uapi"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "uapi:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("uapi", flag.ContinueOnError)
	header := flags.String("header", "", "path of linux/bpf.h")
	kernel := flags.String("kernel", "", "the kernel's release, for example 7.2.13")
	origin := flags.String("origin", "", "where the header comes from, for people")
	if err := flags.Parse(args); err != nil {
		return err
	}
	text, err := os.ReadFile(*header)
	if err != nil {
		return err
	}
	h, err := uapi.Extract(string(text))
	if err != nil {
		return fmt.Errorf("read %s: %w", *header, err)
	}
	h.Kernel, h.Origin = *kernel, *origin
	_, err = io.WriteString(out, h.Text())
	return err
}
