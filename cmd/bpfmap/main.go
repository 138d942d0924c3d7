// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bpfmap is the controller, the agent, and the command line of bpfmap-operator.
package main

import (
	"context"
	"os"

	// The certificate authorities of Mozilla's programme, for systems without any: the image holds nothing but the binary.
	_ "golang.org/x/crypto/x509roots/fallback"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/interrupt"
)

func main() {
	ctx, stop := interrupt.Notify(context.Background(), interrupt.Grace, os.Stderr, os.Exit)
	code := cli.RunAs(ctx, os.Args[0], os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
