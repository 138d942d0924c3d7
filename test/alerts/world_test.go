// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package alerts_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	controllers "github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
	"github.com/bpfmap-io/bpfmap-operator/test/certificate"
	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

const (
	// limit bounds every wait: the machine may be busy.
	limit = 2 * time.Minute
	// system is the namespace of the operator, edge that of the maps.
	system = "bpfmap-system"
	edge   = "edge"
)

// world is an API server with the operator's roles, and what runs on it.
type world struct {
	client.Client
	t       *testing.T
	plane   *controlplane.ControlPlane
	dir     string
	program string
	// targets are what Prometheus scrapes, by the component.
	targets map[string][]target
	// feed serves a list until it is broken.
	feed   *httptest.Server
	broken atomic.Bool
	// controller is the running one.
	controller *process
	// authority signed the certificate of the controller's metrics, which is in the folder certificates. Agents make theirs.
	authority    *certificate.Authority
	certificates string
}

// serverName is what the certificate of the controller's metrics is for.
const serverName = "bpfmap-controller-metrics.bpfmap-system.svc"

func newWorld(t *testing.T) *world {
	t.Helper()
	controllers.UseLogger(logr.Discard()) // the processes have logs of their own
	w := &world{t: t, plane: controlplane.New(t), dir: t.TempDir(), targets: map[string][]target{}}
	w.startFeed()
	w.authority, w.certificates = certificate.NewAuthority(t), t.TempDir()
	w.authority.Write(w.certificates, serverName)
	root := controlplane.Root()
	w.program = filepath.Join(w.dir, "bpfmap")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", w.program, "./cmd/bpfmap")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	w.must(w.plane.Apply(t.Context(), filepath.Join(root, "config/default/namespace.yaml"),
		filepath.Join(root, "config/rbac/service_accounts.yaml"), filepath.Join(root, "config/rbac/controller_role.yaml"),
		filepath.Join(root, "config/rbac/agent_role.yaml"), filepath.Join(root, "config/rbac/role_bindings.yaml"),
		filepath.Join(root, "config/monitoring/metrics_roles.yaml")))
	scheme := controllers.Scheme()
	w.must(errors.Join(corev1.AddToScheme(scheme), rbacv1.AddToScheme(scheme)))
	var err error
	w.Client, err = client.New(w.plane.Config(), client.Options{Scheme: scheme})
	w.must(err)
	w.must(w.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: edge}}))
	return w
}

// startFeed serves a list until it is broken.
func (w *world) startFeed() {
	w.feed = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		if w.broken.Load() {
			http.Error(out, "out of order", http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(out, "1\n2\n")
	}))
	w.t.Cleanup(w.feed.Close)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// kubeconfig is the file of a user that has only the rights that RBAC grants. It is written once: processes that were
// started before may be reading it.
func (w *world) kubeconfig(user string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, strings.ReplaceAll(user, ":", "-")+".kubeconfig")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	cfg, err := w.plane.ConfigFor(user)
	w.must(err)
	w.must(w.plane.WriteKubeconfig(path, cfg))
	return path
}

// scraperToken is that of a service account that is bound to the role for reading metrics, as
// docs/operations.md describes.
func (w *world) scraperToken() string {
	w.t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: edge, Name: "prometheus"}}
	w.must(w.Create(w.t.Context(), account))
	w.must(w.Create(w.t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "prometheus"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "bpfmap-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: edge, Name: account.Name}},
	}))
	clients, err := kubernetes.NewForConfig(w.plane.Config())
	w.must(err)
	request, err := clients.CoreV1().ServiceAccounts(edge).CreateToken(w.t.Context(), account.Name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	w.must(err)
	return request.Status.Token
}

// target is one process as Prometheus knows it: the labels are those that the ServiceMonitors give it.
type target struct {
	address, pod, node string
}

// address is a free one on loopback, below the range of ports from which the kernel takes those of outgoing
// connections.
func (w *world) address() string {
	w.t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))
		if l, err := net.Listen("tcp", address); err == nil {
			w.must(l.Close())
			return address
		}
	}
	w.t.Fatal("no free port")
	return ""
}

// startController runs the controller where Prometheus looks for it.
func (w *world) startController() {
	w.t.Helper()
	if len(w.targets["controller"]) == 0 {
		w.targets["controller"] = []target{{address: w.address(), pod: "controller-0"}}
	}
	w.controller = w.launch("controller", "--kubeconfig", w.kubeconfig("system:serviceaccount:"+system+":bpfmap-controller"),
		"--leader-elect", "--namespace", system, "--allowed-source-hosts", strings.TrimPrefix(w.feed.URL, "http://"),
		"--allowed-source-networks", "127.0.0.0/8", "--min-source-interval", "1s", "--metrics-bind-address", w.targets["controller"][0].address, "--metrics-cert-dir", w.certificates)
}

// node is a Node object, a BPF file system of its own on this machine, and an agent process.
type node struct {
	name, bpffs string
	agent       *process
}

// startNode makes a node and runs its agent as a user, whom Prometheus scrapes.
func (w *world) startNode(name, user string, flags ...string) *node {
	w.t.Helper()
	object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}}}
	w.must(w.Create(w.t.Context(), object))
	n := &node{name: name, bpffs: w.t.TempDir()}
	w.setNode(n, corev1.ConditionTrue)
	if name != bare {
		w.mount(n)
	}
	w.startAgent(n, "agent-"+name, user, flags...)
	return n
}

// startAgent runs an agent in a pod of its own.
func (w *world) startAgent(n *node, pod, user string, flags ...string) {
	w.t.Helper()
	address := w.address()
	args := []string{"agent", "--kubeconfig", w.kubeconfig(user), "--node-name", n.name, "--bpffs", n.bpffs,
		"--resync-period", "1s", "--metrics-bind-address", address}
	n.agent = w.launch(append(args, flags...)...)
	w.targets["agent"] = append(w.targets["agent"], target{address: address, pod: pod, node: n.name})
}

// bare is the name of a node without a BPF file system.
const bare = "bare"

func (w *world) mount(n *node) {
	w.t.Helper()
	if err := syscall.Mount("bpf", n.bpffs, "bpf", 0, ""); err != nil {
		w.t.Fatalf("mount a BPF file system (the tests need root): %v", err)
	}
	w.t.Cleanup(func() {
		if err := syscall.Unmount(n.bpffs, syscall.MNT_DETACH); err != nil {
			w.t.Error(err)
		}
	})
}

// setNode is what the node controller does: it says whether a Node is Ready.
func (w *world) setNode(n *node, ready corev1.ConditionStatus) {
	w.t.Helper()
	await.Nil(w.t, limit, func() error {
		object := &corev1.Node{}
		if err := w.Get(w.t.Context(), client.ObjectKey{Name: n.name}, object); err != nil {
			return err
		}
		object.Status.Conditions = []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: ready, Reason: "Test", LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now(),
		}}
		return w.Status().Update(w.t.Context(), object)
	})
}

func (n *node) pin(name string) string { return filepath.Join(n.bpffs, "bpfmap", edge, name) }

// declare creates a BPFMap on one node out of the lines of its spec.
func (w *world) declare(name string, on *node, spec string) {
	w.t.Helper()
	m := &v1alpha1.BPFMap{}
	w.must(yaml.UnmarshalStrict([]byte(spec), &m.Spec))
	m.Namespace, m.Name = edge, name
	m.Spec.NodeSelector = map[string]string{corev1.LabelHostname: on.name}
	w.must(w.Create(w.t.Context(), m))
}

// edit changes the entries of a BPFMap, given as YAML.
func (w *world) edit(name, entries string) {
	w.t.Helper()
	await.Nil(w.t, limit, func() error {
		m := &v1alpha1.BPFMap{}
		if err := w.Get(w.t.Context(), client.ObjectKey{Namespace: edge, Name: name}, m); err != nil {
			return err
		}
		m.Spec.Entries = nil
		if err := yaml.Unmarshal([]byte(entries), &m.Spec.Entries); err != nil {
			return err
		}
		return w.Update(w.t.Context(), m)
	})
}

// awaitReady waits until a BPFMap is Ready.
func (w *world) awaitReady(name string) {
	w.t.Helper()
	await.Nil(w.t, limit, func() error {
		m := &v1alpha1.BPFMap{}
		if err := w.Get(w.t.Context(), client.ObjectKey{Namespace: edge, Name: name}, m); err != nil {
			return err
		}
		if w.controller.ended() {
			w.t.Fatal("the controller ended by itself")
		}
		c := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionReady)
		if c == nil || c.Reason != v1alpha1.ReasonReady || c.ObservedGeneration != m.Generation {
			return fmt.Errorf("BPFMap %s: condition Ready is %+v", name, c)
		}
		return nil
	})
}

// awaitUsed waits until a BPFMap is in use on all of its nodes.
func (w *world) awaitUsed(name string) {
	w.t.Helper()
	await.Nil(w.t, limit, func() error {
		m := &v1alpha1.BPFMap{}
		if err := w.Get(w.t.Context(), client.ObjectKey{Namespace: edge, Name: name}, m); err != nil {
			return err
		}
		c := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionInUse)
		if c == nil || c.Status != metav1.ConditionTrue || m.Status.Programs != "1" {
			return fmt.Errorf("BPFMap %s: condition InUse is %+v, programs %q", name, c, m.Status.Programs)
		}
		return nil
	})
}

// process is one run of a program, with its log in a file.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}
}

// launch starts the program that people run.
func (w *world) launch(args ...string) *process {
	w.t.Helper()
	return start(w.t, filepath.Join(w.dir, fmt.Sprintf("%s-%d.log", args[0], rand.IntN(1e9))), w.program, args...)
}

// start runs a program until the test ends. The kernel kills it when the test binary dies.
func start(t *testing.T, log, program string, args ...string) *process {
	t.Helper()
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(program, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		// The death signal belongs to this thread, which ends with the goroutine because it stays locked.
		runtime.LockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.end(syscall.SIGKILL)
		_ = out.Close()
		if text, err := os.ReadFile(log); t.Failed() && err == nil {
			lines := strings.Split(strings.TrimSpace(string(text)), "\n")
			t.Logf("%s %v ended its log with:\n%s", filepath.Base(program), args[:min(1, len(args))], strings.Join(lines[max(0, len(lines)-15):], "\n"))
		}
	})
	return p
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// end sends a signal and waits for the end.
func (p *process) end(s syscall.Signal) {
	if p.ended() {
		return
	}
	_ = p.cmd.Process.Signal(s)
	<-p.done
}

// cripple makes a user with the rights of an agent but the one to write what it found.
func (w *world) cripple(user string) {
	w.t.Helper()
	role := &rbacv1.ClusterRole{}
	w.must(w.Get(w.t.Context(), client.ObjectKey{Name: "bpfmap-agent"}, role))
	rules := slices.DeleteFunc(role.Rules, func(r rbacv1.PolicyRule) bool { return slices.Contains(r.Resources, "bpfnodestates/status") })
	if len(rules) == len(role.Rules) {
		w.t.Fatal("agents have no right of its own to write their state")
	}
	w.must(w.Create(w.t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: rules}))
	for _, name := range []string{user, "bpfmap-agent-maps", "bpfmap-metrics-auth"} {
		w.must(w.Create(w.t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: user + "-" + name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
		}))
	}
}

// remove deletes an object as the administrator, and returns a function that creates it anew.
func (w *world) remove(o client.Object) (restore func()) {
	w.t.Helper()
	w.must(w.Get(w.t.Context(), client.ObjectKeyFromObject(o), o))
	w.must(w.Delete(w.t.Context(), o))
	return func() {
		o.SetResourceVersion("")
		o.SetUID("")
		w.must(w.Create(context.Background(), o))
	}
}
