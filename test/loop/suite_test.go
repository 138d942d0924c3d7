// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"

	controllers "github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

var (
	plane *controlplane.ControlPlane
	// program is the path of the bpfmap binary.
	program string
	// The kubeconfigs hold the rights of the roles in config/rbac and no others.
	controllerKubeconfig, agentKubeconfig string
)

func TestMain(m *testing.M) {
	controllers.UseLogger(logr.Discard()) // the processes have logs of their own
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "bpfmap-loop-")
		if err == nil {
			err = setUp(context.Background(), dir)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		code := m.Run()
		if err := errors.Join(plane.Stop(), os.RemoveAll(dir)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}())
}

func setUp(ctx context.Context, dir string) (err error) {
	root := controlplane.Root()
	program = filepath.Join(dir, "bpfmap")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/bpfmap")
	build.Dir, build.Stderr = root, os.Stderr
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the program: %w", err)
	}
	if plane, err = controlplane.Start(ctx, controlplane.Options{CRDs: true}); err != nil {
		return err
	}
	err = plane.Apply(ctx, filepath.Join(root, "config/default/namespace.yaml"),
		filepath.Join(root, "config/rbac/service_accounts.yaml"), filepath.Join(root, "config/secrets/role.yaml"), filepath.Join(root, "config/rbac/controller_role.yaml"),
		filepath.Join(root, "config/rbac/agent_role.yaml"), filepath.Join(root, "config/rbac/role_bindings.yaml"),
		filepath.Join(root, "config/contents/roles.yaml"))
	if err != nil {
		return errors.Join(err, plane.Stop())
	}
	controllerKubeconfig, err = kubeconfig(dir, "bpfmap-controller")
	if err != nil {
		return errors.Join(err, plane.Stop())
	}
	agentKubeconfig, err = kubeconfig(dir, "bpfmap-agent")
	if err != nil {
		return errors.Join(err, plane.Stop())
	}
	return nil
}

func kubeconfig(dir, account string) (string, error) {
	cfg, err := plane.ConfigFor("system:serviceaccount:bpfmap-system:" + account)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, account+".kubeconfig")
	return path, plane.WriteKubeconfig(path, cfg)
}
