// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
	"github.com/bpfmap-io/bpfmap-operator/test/memory"
	"github.com/bpfmap-io/bpfmap-operator/test/program"
)

// limit bounds every wait: the machine may be busy.
const limit = 3 * time.Minute

const (
	system   = "bpfmap-system"
	attacker = "edge" // the attacker's namespace
	victim   = "shop"
	node     = "node-a"
)

// bpfmapPath is the path of the bpfmap binary.
var bpfmapPath string

func TestMain(m *testing.M) {
	process.UseLogger(logr.Discard()) // the processes have logs of their own
	os.Exit(program.Main(m, &bpfmapPath))
}

// world is a control plane with the chart, a controller, and a node with an agent.
type world struct {
	t     *testing.T
	plane *controlplane.ControlPlane
	chart string // rendered
	bpffs string
	admin client.Client
	// tenant may do what the chart's role editor allows in the attacker's namespace, and write ConfigMaps there.
	tenant            client.Client
	controller, agent *exec.Cmd
}

// namespacesYAML is there before the chart.
const namespacesYAML = `
apiVersion: v1
kind: Namespace
metadata: {name: edge}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
`

// groundYAML is what the attackers meet.
const groundYAML = `
apiVersion: v1
kind: Node
metadata: {name: node-a}
---
apiVersion: v1
kind: Pod
metadata: {name: agent-a, namespace: bpfmap-system}
spec: {nodeName: node-a, serviceAccountName: bpfmap-operator-agent, containers: [{name: agent, image: none}]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: tenant, namespace: edge}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: tenant, namespace: edge}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: bpfmap-operator-editor}
subjects: [{kind: ServiceAccount, name: tenant, namespace: edge}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: feeds, namespace: edge}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, create, update]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: feeds, namespace: edge}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: feeds}
subjects: [{kind: ServiceAccount, name: tenant, namespace: edge}]
`

// newWorld starts everything but the agent; the controller gets more flags than the chart gives it.
func newWorld(t *testing.T, flags ...string) *world {
	t.Helper()
	w := newGround(t)
	w.controller = w.launch("controller", w.account(system, "bpfmap-operator-controller", nil), flags...)
	return w
}

// newGround is a world in which nothing of the operator runs, with the chart rendered by these values.
func newGround(t *testing.T, values ...string) *world {
	t.Helper()
	plane, err := controlplane.Start(t.Context(), controlplane.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, plane: plane, chart: helmTemplate(t, values...), bpffs: t.TempDir()}
	if err := syscall.Mount("bpf", w.bpffs, "bpf", 0, "mode=1777"); err != nil {
		t.Fatalf("mount a BPF file system (the tests need root): %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(w.bpffs, syscall.MNT_DETACH) })
	if err := os.Chmod(filepath.Dir(w.bpffs), 0o755); err != nil { // so that other users get there
		t.Fatal(err)
	}
	paths := []string{filepath.Join(controlplane.Root(), "config", "default", "namespace.yaml")}
	for _, text := range []string{namespacesYAML, w.chart, groundYAML} {
		paths = append(paths, written(t, text))
	}
	if err := plane.Apply(t.Context(), paths...); err != nil {
		t.Fatal(err)
	}
	w.admin = w.client(plane.Config())
	w.tenant = w.client(w.account(attacker, "tenant", nil))
	return w
}

// written is a file with this YAML.
func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "objects.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// startAgent runs the node's agent, with the token that a kubelet would give to its pod.
func (w *world) startAgent() {
	w.t.Helper()
	pod := &corev1.Pod{}
	if err := w.admin.Get(w.t.Context(), client.ObjectKey{Namespace: system, Name: "agent-a"}, pod); err != nil {
		w.t.Fatal(err)
	}
	bound := &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}
	w.agent = w.launch("agent", w.account(system, "bpfmap-operator-agent", bound), "--node-name="+node, "--bpffs="+w.bpffs)
}

func helmTemplate(t *testing.T, values ...string) string {
	t.Helper()
	args := []string{"--no-hooks"}
	for _, value := range values {
		args = append(args, "--set", value)
	}
	out, err := controlplane.RenderChart(t.Context(), "bpfmap-operator", system, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// client is a client of somebody.
func (w *world) client(config *rest.Config) client.Client {
	w.t.Helper()
	scheme := process.Scheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		w.t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// account is who holds a token of a service account and nothing else.
func (w *world) account(namespace, name string, bound *authenticationv1.BoundObjectReference) *rest.Config {
	w.t.Helper()
	config, err := w.plane.ConfigWithToken(w.t.Context(), namespace, name, bound)
	if err != nil {
		w.t.Fatal(err)
	}
	return config
}

// chartFlags are those that the chart gives to a component, but for ports and what differs from node to node.
func (w *world) chartFlags(component string) []string {
	w.t.Helper()
	for document := range strings.SplitSeq(w.chart, "\n---\n") {
		var object struct {
			metav1.TypeMeta
			Spec appsv1.DaemonSetSpec
		}
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			w.t.Fatal(err)
		}
		if object.Kind != map[string]string{"agent": "DaemonSet", "controller": "Deployment"}[component] {
			continue
		}
		return slices.DeleteFunc(object.Spec.Template.Spec.Containers[0].Args[1:], func(flag string) bool {
			return strings.Contains(flag, "-address=") || strings.Contains(flag, "$(") || strings.HasPrefix(flag, "--bpffs=") ||
				strings.HasPrefix(flag, "--leader-elect") || strings.HasPrefix(flag, "--agent-daemonset=") || strings.HasPrefix(flag, "--source-cache-dir=")
		})
	}
	w.t.Fatalf("the chart has no %s", component)
	return nil
}

// launch runs a component. It ends with the test, and its log is shown if that failed.
func (w *world) launch(component string, config *rest.Config, flags ...string) *exec.Cmd {
	w.t.Helper()
	dir := w.t.TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := w.plane.WriteKubeconfig(kubeconfig, config); err != nil {
		w.t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		w.t.Fatal(err)
	}
	args := append([]string{component, "--kubeconfig", kubeconfig}, w.chartFlags(component)...)
	cmd := exec.Command(bpfmapPath, append(args, flags...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if said, _ := os.ReadFile(log.Name()); w.t.Failed() {
			w.t.Logf("the end of the log of the %s:\n%s", component, said[max(0, len(said)-4000):])
		}
		_ = log.Close()
	})
	return cmd
}

// bpfMap is a BPFMap of a spec in YAML.
func bpfMap(namespace, name, spec string) *v1alpha1.BPFMap {
	m := &v1alpha1.BPFMap{}
	if err := yaml.UnmarshalStrict([]byte("spec:\n"+spec), m); err != nil {
		panic(err)
	}
	m.Namespace, m.Name = namespace, name
	return m
}

// fine is what the victim declares.
const fine = "  {type: Hash, key: {type: u32}, value: {type: u32}, maxEntries: 16, entries: [{key: 1, value: 10}]}"

// victimIsServed declares a map of the victim's, and waits until the node has it.
func (w *world) victimIsServed(name string) {
	w.t.Helper()
	if err := w.admin.Create(w.t.Context(), bpfMap(victim, name, fine)); err != nil {
		w.t.Fatal(err)
	}
	w.await(victim, name, v1alpha1.ConditionReady, v1alpha1.ReasonReady)
	if _, err := os.Stat(filepath.Join(w.bpffs, "bpfmap", victim, name)); err != nil {
		w.t.Errorf("the victim's map is Ready, and: %v", err)
	}
}

// await waits until a condition of a BPFMap has a reason, and returns its message.
func (w *world) await(namespace, name, condition, reason string) string {
	w.t.Helper()
	message := ""
	await.Nil(w.t, limit, func() error {
		m := &v1alpha1.BPFMap{}
		if err := w.admin.Get(w.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, m); err != nil {
			return err
		}
		c := meta.FindStatusCondition(m.Status.Conditions, condition)
		if c == nil || c.Reason != reason || c.ObservedGeneration != m.Generation {
			return fmt.Errorf("%s/%s: condition %s is %+v, want %s", namespace, name, condition, c, reason)
		}
		message = c.Message
		return nil
	})
	return message
}

// peak is the most memory that a process has had resident, in bytes.
func peak(t *testing.T, cmd *exec.Cmd) int64 {
	t.Helper()
	most, err := memory.Of(cmd.Process.Pid, "VmHWM")
	if err != nil {
		t.Fatalf("the process has ended: %v", err)
	}
	return most
}

// asNobody runs a command as an unprivileged user, until the test ends.
func asNobody(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, Setpgid: true}
	cmd.Cancel = func() error { return errors.Join(syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	return cmd
}
