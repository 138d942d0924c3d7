// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command controlplane runs etcd and the API server in the foreground until it is told to end.
//
// Usage: controlplane DIRECTORY
//
// It writes kubeconfigs for the administrator and, with no rights but those of config/rbac, for the
// controller and the agent to DIRECTORY/<name>.kubeconfig, logs beside them, and at last, when the
// API is ready, the line "ready" to stdout.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: controlplane DIRECTORY")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
}

func run(dir string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	cp, err := controlplane.Start(ctx, controlplane.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cp.Stop()) }()
	if err := writeKubeconfigs(cp, dir); err != nil {
		return err
	}
	fmt.Println("ready")
	<-ctx.Done()
	return nil
}

func writeKubeconfigs(cp *controlplane.ControlPlane, dir string) error {
	if err := cp.WriteKubeconfig(filepath.Join(dir, "admin.kubeconfig"), cp.Config()); err != nil {
		return err
	}
	for _, component := range []string{"controller", "agent"} {
		user := "system:serviceaccount:bpfmap-system:bpfmap-" + component
		config, err := cp.ConfigFor(user, "system:serviceaccounts", "system:authenticated")
		if err != nil {
			return err
		}
		if err := cp.WriteKubeconfig(filepath.Join(dir, component+".kubeconfig"), config); err != nil {
			return err
		}
	}
	return nil
}
