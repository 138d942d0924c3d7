// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	controllers "github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

const (
	system = "bpfmap-system"
	// limit bounds a wait for something that takes seconds, or after an outage two minutes.
	limit = 3 * time.Minute
)

var (
	root       = controlplane.Root()
	clusterDir string
	config     *rest.Config
	api        client.Client
	nodes      []*node
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		down, err := setUp(context.Background())
		code := 1
		if err == nil {
			code = m.Run()
		} else {
			fmt.Fprintln(os.Stderr, err)
		}
		if code != 0 {
			_ = command(context.Background(), "hack/cluster/ctl.sh", "logs").Run()
		}
		if err := down(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}())
}

// setUp finds or makes the cluster, puts this tree's image on it and installs the chart.
func setUp(ctx context.Context) (down func() error, err error) {
	down = func() error { return nil }
	clusterDir = os.Getenv("CLUSTER_DIR")
	if clusterDir == "" || os.Getenv("KUBECONFIG") == "" {
		if clusterDir == "" {
			clusterDir = "/var/tmp/bpfmap-cluster"
		}
		if _, err := os.Stat(clusterDir); err == nil {
			return down, fmt.Errorf("%s is there already: set CLUSTER_DIR and KUBECONFIG to use that cluster, or make cluster-down", clusterDir)
		}
		down = func() error { return command(ctx, "hack/cluster/down.sh").Run() }
		err := errors.Join(os.Setenv("CLUSTER_DIR", clusterDir), os.Setenv("KUBECONFIG", filepath.Join(clusterDir, "admin.kubeconfig")))
		if err != nil {
			return down, err
		}
		if err := command(ctx, "hack/cluster/up.sh").Run(); err != nil {
			return down, fmt.Errorf("bring up the cluster: %w", err)
		}
	} else if err := command(ctx, "hack/cluster/ctl.sh", "load-image").Run(); err != nil {
		return down, fmt.Errorf("load the image: %w", err)
	}
	if config, err = clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG")); err != nil {
		return down, err
	}
	config.QPS = -1
	scheme := controllers.Scheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, eventsv1.AddToScheme, coordinationv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return down, err
		}
	}
	if api, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return down, err
	}
	for _, name := range []string{"node-1", "node-2", "node-3"} {
		nodes = append(nodes, &node{name: name})
	}
	if err := install(ctx); err != nil {
		return down, err
	}
	// On a cluster that stood, the release may have been there, with an older image of the same name.
	if err := quiet(ctx, "kubectl", "rollout", "restart", "daemonset,deployment", "--namespace", system); err != nil {
		return down, err
	}
	return down, rolledOut(ctx)
}

// install installs or upgrades the chart with its default values and the given ones, and waits until
// exactly that runs.
func install(ctx context.Context, values ...string) error {
	args := []string{"upgrade", "--install", "bpfmap", "charts/bpfmap-operator", "--namespace", system, "--create-namespace",
		"--reset-values", "--wait", "--timeout", "2m"}
	for _, value := range values {
		args = append(args, "--set", value)
	}
	if err := quiet(ctx, "helm", args...); err != nil {
		return err
	}
	return rolledOut(ctx)
}

// rolledOut waits for the two components: helm is content when most of the agents run.
func rolledOut(ctx context.Context) error {
	for _, object := range []string{"daemonset/bpfmap-bpfmap-operator-agent", "deployment/bpfmap-bpfmap-operator-controller"} {
		if err := quiet(ctx, "kubectl", "rollout", "status", object, "--namespace", system, "--timeout", "2m"); err != nil {
			return err
		}
	}
	return nil
}

// reinstall is install for a test, which leaves the default values behind.
func reinstall(t *testing.T, values ...string) {
	t.Helper()
	if err := install(t.Context(), values...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := install(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// command is a program in the root of the repository whose output is the test's.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	if strings.HasPrefix(name, "hack/") {
		name = filepath.Join(root, name)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, os.Stderr, os.Stderr
	// A program that left others behind, as up.sh does, must not be waited for longer than it runs.
	cmd.WaitDelay = time.Second
	return cmd
}

// quiet runs a program and gives its output only as a part of an error.
func quiet(ctx context.Context, name string, args ...string) error {
	_, err := output(ctx, name, args...)
	return err
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := command(ctx, name, args...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(name), strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// shell runs what a page shows, in the root of the repository.
func shell(t *testing.T, script string) {
	t.Helper()
	if err := quiet(t.Context(), "bash", "-e", "-o", "pipefail", "-c", script); err != nil {
		t.Fatal(err)
	}
}

// ctl does something to a part of the cluster.
func ctl(t *testing.T, args ...string) {
	t.Helper()
	if err := quiet(t.Context(), "hack/cluster/ctl.sh", args...); err != nil {
		t.Fatal(err)
	}
}

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	text, err := output(t.Context(), "kubectl", args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(text)
}

// startPart brings a part back at the test's end whatever happens, so that later tests have it.
func startPart(t *testing.T, part string) {
	t.Helper()
	t.Cleanup(func() {
		if err := quiet(context.Background(), "hack/cluster/ctl.sh", "start", part); err != nil {
			t.Error(err)
		}
	})
}

func eventually(t testing.TB, check func() error) {
	t.Helper()
	await.Nil(t, limit, check)
}
