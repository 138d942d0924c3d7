// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bpfmap is the controller, the agent, and the command line of bpfmap-operator.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
