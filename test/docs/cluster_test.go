// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

// inside says that this process is in namespaces of its own.
const inside = "BPFMAP_DOCS_INSIDE"

// TestOnCluster runs the blocks of each page that need a cluster and no pods: a real API server, the controller, and the
// agents of three nodes, whose kernel is this one. All of it is in network and mount namespaces of its own, since pages
// say /sys/fs/bpf: it is that of node-1.
func TestOnCluster(t *testing.T) {
	if os.Getenv(inside) == "" {
		pattern := "^TestOnCluster$"
		if p := flag.Lookup("test.run").Value.String(); strings.HasPrefix(p, "TestOnCluster/") { // of one page
			pattern = p
		}
		cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--net", "--propagation", "private",
			"bash", "-ec", machine+`exec "$0" "$@"`, os.Args[0], "-test.run="+pattern, "-test.v")
		cmd.Env = append(os.Environ(), inside+"=1", "BPFMAP="+bpfmap)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: TestOnCluster") {
			t.Errorf("%v\n%s", err, out)
		}
		t.Logf("%s", out)
		return
	}
	cp, kubeconfig := cluster(t)
	kubectl, err := controlplane.Tool("kubectl")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range in(t, "cluster") {
		t.Run(p.Path, func(t *testing.T) {
			run := func(ctx context.Context, script string) *exec.Cmd {
				cmd := exec.CommandContext(ctx, "bash", "-c", script)
				cmd.Env = append(os.Environ(), withBinary()+":"+filepath.Dir(kubectl), "KUBECONFIG="+kubeconfig, "REPOSITORY="+root)
				return cmd
			}
			play(t, p, "cluster", run)
			clean(t, cp, run)
		})
	}
}

// clean removes what a page left, its namespaces included: there is no controller-manager that would do it.
func clean(t *testing.T, cp *controlplane.ControlPlane, run func(context.Context, string) *exec.Cmd) {
	t.Helper()
	const script = `kubectl delete bpfmaps --all --all-namespaces
until [[ -z $(find /sys/fs/bpf/bpfmap -path '*/_state' -prune -o -type f -print) ]]; do sleep 0.2; done
kubectl delete --all --all-namespaces bpfmaprevisions,bpfmapchunks
for namespace in $(kubectl get namespaces -o name | grep -vE '/(default|kube-.*|bpfmap-system)$'); do
	kubectl delete --all -n ${namespace#*/} configmaps,serviceaccounts,roles,rolebindings,cronjobs
	kubectl delete $namespace --wait=false
done
`
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if out, err := run(ctx, "set -e\n"+script).CombinedOutput(); err != nil {
		t.Fatalf("clean up: %v\n%s", err, out)
	}
	client, err := kubernetes.NewForConfig(cp.Config())
	if err != nil {
		t.Fatal(err)
	}
	list, err := client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, namespace := range list.Items {
		if namespace.DeletionTimestamp == nil {
			continue
		}
		namespace.Spec.Finalizers = nil
		if _, err := client.CoreV1().Namespaces().Finalize(ctx, &namespace, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
	}
}

// cluster starts an API server, the controller and three agents. The kubeconfig is an administrator's.
func cluster(t *testing.T) (cp *controlplane.ControlPlane, kubeconfig string) {
	t.Helper()
	cp = controlplane.New(t)
	config := func(path string) string { return filepath.Join(root, "config", path) }
	err := cp.Apply(t.Context(), config("default/namespace.yaml"), config("rbac/service_accounts.yaml"), config("rbac/controller_role.yaml"),
		config("rbac/agent_role.yaml"), config("rbac/user_roles.yaml"), config("rbac/role_bindings.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	as := func(account string) string {
		c, err := cp.ConfigFor("system:serviceaccount:bpfmap-system:" + account)
		path := filepath.Join(dir, account)
		if err == nil {
			err = cp.WriteKubeconfig(path, c)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	quiet := []string{"--metrics-bind-address=0", "--health-probe-bind-address=0"}
	client, err := kubernetes.NewForConfig(cp.Config())
	if err != nil {
		t.Fatal(err)
	}
	controllerConfig, agentConfig := as("bpfmap-controller"), as("bpfmap-agent")
	launch(t, append([]string{"controller", "--leader-elect=false", "--kubeconfig", controllerConfig}, quiet...)...)
	for _, name := range []string{"node-1", "node-2", "node-3"} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubernetes.io/hostname": name, "role": "edge"}}}
		if _, err := client.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		bpffs := "/sys/fs/bpf"
		if name != "node-1" {
			bpffs = filepath.Join(dir, "bpffs-"+name)
			t.Setenv("BPFFS_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_")), bpffs)
			if err := errors.Join(os.Mkdir(bpffs, 0o755), syscall.Mount("bpf", bpffs, "bpf", 0, "")); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := syscall.Unmount(bpffs, syscall.MNT_DETACH); err != nil {
					t.Error(err)
				}
			})
		}
		launch(t, append([]string{"agent", "--kubeconfig", agentConfig, "--node-name", name, "--bpffs", bpffs,
			"--resync-period", "2s", "--allowed-pin-prefix", "edge=xdp-filter"}, quiet...)...)
	}
	kubeconfig, err = cp.Kubeconfig()
	if err != nil {
		t.Fatal(err)
	}
	return cp, kubeconfig
}

// launch runs a component until the test's end; its log is shown if the test fails.
func launch(t *testing.T, args ...string) {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), args[0]+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bpfmap, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		killed := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		killed.Stop()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s:\n%s", args[0], text)
		}
	})
}
