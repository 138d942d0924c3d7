// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/bpfmap-io/bpfmap-operator/test/docs"
)

// release is what the names of the chart's objects begin with.
const release = "bpfmap-bpfmap-operator"

// desk is a person who has a kubeconfig and the plugin.
type desk struct {
	namespace, account, kubeconfig string
}

// newDesk is one with the token of a service account and no rights.
func newDesk(t *testing.T, w *world, account string) *desk {
	t.Helper()
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := api.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: account}}); err != nil {
		t.Fatal(err)
	}
	request, err := clients.CoreV1().ServiceAccounts(w.namespace).CreateToken(t.Context(), account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	file := clientcmdapi.NewConfig()
	file.CurrentContext = "desk"
	file.Clusters["desk"] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData, CertificateAuthority: config.CAFile}
	file.AuthInfos["desk"] = &clientcmdapi.AuthInfo{Token: request.Status.Token}
	file.Contexts["desk"] = &clientcmdapi.Context{Cluster: "desk", AuthInfo: "desk", Namespace: w.namespace}
	d := &desk{w.namespace, account, filepath.Join(t.TempDir(), "kubeconfig")}
	if err := clientcmd.WriteToFile(*file, d.kubeconfig); err != nil {
		t.Fatal(err)
	}
	return d
}

// may binds one of the chart's roles: a ClusterRole for the cluster if there is no namespace.
func (d *desk) may(t *testing.T, namespace, kind, role string) {
	t.Helper()
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	meta := metav1.ObjectMeta{Name: d.namespace + "-" + d.account + "-" + role}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: release + "-" + role}
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: d.namespace, Name: d.account}}
	var remove func(ctx context.Context, name string, o metav1.DeleteOptions) error
	if namespace == "" {
		bindings := clients.RbacV1().ClusterRoleBindings()
		_, err = bindings.Create(t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects}, metav1.CreateOptions{})
		remove = bindings.Delete
	} else {
		bindings := clients.RbacV1().RoleBindings(namespace)
		_, err = bindings.Create(t.Context(), &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects}, metav1.CreateOptions{})
		remove = bindings.Delete
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := remove(context.Background(), meta.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
}

// plugin runs kubectl bpfmap with a kubeconfig.
func plugin(t *testing.T, kubeconfig string, args ...string) (out, errOut string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "bin", "bpfmap"), append([]string{"kubectl"}, args...)...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// want runs the plugin until it says this: the API server learns of rights by a watch of its own.
func (d *desk) want(t *testing.T, code int, out, errOut string, args ...string) {
	t.Helper()
	eventually(t, func() error {
		gotOut, gotErr, got := plugin(t, d.kubeconfig, args...)
		if got != code || !strings.Contains(gotOut, out) || !strings.Contains(gotErr, errOut) {
			return fmt.Errorf("%s: exit code %d, want %d\n%s\nwant %q\n%s\nwant %q", strings.Join(args, " "), got, code, gotOut, out, gotErr, errOut)
		}
		return nil
	})
}

// TestContentsFromADesk reads the kernels of three nodes by port-forwarding, with the rights of the chart's roles and with
// less than those.
func TestContentsFromADesk(t *testing.T) {
	shown := docs.ShownBy(t, "docs/live-contents.md")
	reinstall(t) // ends with the default values, whatever is turned on in between
	shell(t, shown.Next().Text)
	if err := rolledOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	// Drift stays until the next resync: there is something to compare.
	w.make("blocklist", contents{1: 10, 2: 20})
	w.awaitReady("blocklist", 3)
	w.awaitEverywhere("blocklist", contents{1: 10, 2: 20})

	d := newDesk(t, w, "reader")
	d.want(t, 1, "", "bpfnodestates", "dump", "blocklist", "--node", "node-1")
	d.may(t, "", "ClusterRole", "contents-nodes")
	d.want(t, 1, "", "portforward", "dump", "blocklist", "--node", "node-1")
	d.may(t, system, "Role", "contents-forward")
	user := "system:serviceaccount:" + w.namespace + ":reader"
	d.want(t, 1, "", fmt.Sprintf("user %q may not get bpfmaps/contents.bpfmap.io blocklist in namespace %s", user, w.namespace), "dump", "blocklist", "--node", "node-1")
	d.may(t, w.namespace, "ClusterRole", "contents-reader")
	d.want(t, 0, "Found 2 elements\n", "", "dump", "blocklist", "--node", "node-1")

	d.want(t, 0, "1 = 10\n", "", "dump", "blocklist", "--node", "node-1")
	d.want(t, 0, "node-3: 20\n", "", "get", "blocklist", "--key", "2")
	d.want(t, 0, "the same on 3 nodes\n", "", "compare", "blocklist")
	d.want(t, 0, `"value": 20`, "", "import", "blocklist", "--node", "node-2", "--entries")
	d.want(t, 0, "blocklist", "", "top", "--once", "--interval", "500ms")
	out, errOut, code := plugin(t, d.kubeconfig, "top", "--once", "-o", "json", "--interval", "500ms")
	var top struct {
		Maps []struct {
			Name           string
			Nodes, Entries int
		}
	}
	if err := json.Unmarshal([]byte(out), &top); err != nil || code != 0 || len(top.Maps) != 1 || top.Maps[0].Nodes != 3 || top.Maps[0].Entries != 6 {
		t.Errorf("top: exit code %d, %v, %s%s", code, err, out, errOut)
	}

	// One node differs.
	if err := quiet(t.Context(), "hack/cluster/ctl.sh", "inside", "node-2", "bpftool", "map", "update", "pinned",
		"/sys/fs/bpf/bpfmap/"+w.namespace+"/blocklist", "key", "hex", "02", "00", "00", "00", "value", "hex", "15", "00", "00", "00"); err != nil {
		t.Fatal(err)
	}
	d.want(t, 1, "node node-2: 2 entries\n  ~ 2: 20 → 21\n  from revision ", "", "compare", "blocklist")

	// Pins, and other namespaces, are other rights.
	pin := "/sys/fs/bpf/bpfmap/" + w.namespace + "/blocklist"
	d.want(t, 1, "", "may not get bpfnodestates/contents.bpfmap.io node-1", "dump", "--pin", pin, "--node", "node-1")
	d.want(t, 1, "", "in namespace default", "dump", "default/blocklist", "--node", "node-1")
	d.may(t, "", "ClusterRole", "node-contents-reader")
	d.want(t, 0, "Found 2 elements", "", "dump", "--pin", pin, "--node", "node-1")

	// The administrator's kubeconfig has a client certificate.
	out, errOut, code = plugin(t, os.Getenv("KUBECONFIG"), "dump", w.namespace+"/blocklist", "--node", "node-1")
	if code != 0 || !strings.Contains(out, "Found 2 elements\n") {
		t.Errorf("the administrator: exit code %d, %s%s", code, out, errOut)
	}
	out, errOut, code = plugin(t, os.Getenv("KUBECONFIG"), "dump", w.namespace+"/blocklist", "--node", "node-1", "--service-account", w.namespace+"/reader")
	if code != 0 || !strings.Contains(out, "Found 2 elements\n") {
		t.Errorf("as a service account: exit code %d, %s%s", code, out, errOut)
	}

	// The bindings that the page shows, of a person. What the maps of the namespace hold is read; other namespaces' isn't.
	t.Cleanup(func() {
		ctx := context.Background()
		for _, binding := range []string{"clusterrolebinding/jane-contents-nodes", "rolebinding/jane-contents --namespace " + system} {
			if err := quiet(ctx, "kubectl", append([]string{"delete", "--ignore-not-found"}, strings.Fields(binding)...)...); err != nil {
				t.Error(err)
			}
		}
	})
	shell(t, strings.ReplaceAll(shown.Next().Text, "-n edge", "-n "+w.namespace))
	for args, want := range map[string]bool{
		"get bpfmaps/blocklist --subresource=contents --namespace " + w.namespace: true,
		"get bpfmaps/blocklist --subresource=contents --namespace default":        false,
		"create pods --subresource=portforward --namespace " + system:             true,
		"list bpfnodestates": true,
	} {
		answer, err := output(t.Context(), "kubectl", append([]string{"auth", "can-i", "--as", "jane"}, strings.Fields(args)...)...)
		if may := err == nil && strings.TrimSpace(answer) == "yes"; may != want {
			t.Errorf("jane may %s: %t, want %t (%v)", args, may, want, err)
		}
	}
}

// TestNoContentsByDefault: an agent that wasn't asked to serve contents says so in its state.
func TestNoContentsByDefault(t *testing.T) {
	w := newWorld(t)
	w.make("blocklist", contents{1: 10})
	w.awaitReady("blocklist", 3)
	out, errOut, code := plugin(t, os.Getenv("KUBECONFIG"), "get", w.namespace+"/blocklist", "--key", "1")
	if code != 1 || out != "" || !strings.Contains(errOut, "agent.contents.enabled") {
		t.Errorf("exit code %d, %s%s", code, out, errOut)
	}
}
