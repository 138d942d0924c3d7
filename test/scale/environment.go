// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

const namespace = "scale"

// The groups of a service account, by which priority and fairness finds its flow schema: an administrator's
// certificate would be exempt.
var serviceAccountGroups = []string{"system:serviceaccounts", "system:serviceaccounts:bpfmap-system", "system:authenticated"}

// environment is the control plane with the controller.
type environment struct {
	plane      *controlplane.ControlPlane
	admin      client.WithWatch
	program    string
	kubeconfig string
	controller *exec.Cmd
	ended      chan struct{}
	// past is the CPU time of controllers that ended.
	past time.Duration
}

// newEnvironment starts everything but the agents. Without flowControl the agents share the API server's
// queues with all other service accounts.
func newEnvironment(ctx context.Context, dir string, flowControl bool) (_ *environment, err error) {
	e := &environment{program: filepath.Join(dir, "bpfmap"), kubeconfig: filepath.Join(dir, "controller.kubeconfig")}
	root := controlplane.Root()
	build := exec.CommandContext(ctx, "go", "build", "-o", e.program, "./cmd/bpfmap")
	build.Dir, build.Stderr = root, os.Stderr
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("build the program: %w", err)
	}
	if e.plane, err = controlplane.Start(ctx, controlplane.Options{Dir: filepath.Join(dir, "plane"), CRDs: true}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.stop())
		}
	}()
	manifests := []string{"default/namespace.yaml", "rbac/service_accounts.yaml", "rbac/controller_role.yaml", "rbac/agent_role.yaml", "rbac/role_bindings.yaml"}
	if flowControl {
		manifests = append(manifests, "flowcontrol/agents.yaml")
	}
	for i := range manifests {
		manifests[i] = filepath.Join(root, "config", manifests[i])
	}
	if err := e.plane.Apply(ctx, manifests...); err != nil {
		return nil, err
	}
	cfg, err := e.account("bpfmap-controller")
	if err != nil {
		return nil, err
	}
	if err := e.plane.WriteKubeconfig(e.kubeconfig, cfg); err != nil {
		return nil, err
	}
	scheme := process.Scheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if e.admin, err = client.NewWithWatch(e.plane.Config(), client.Options{Scheme: scheme}); err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if err := e.admin.Create(ctx, ns); err != nil {
		return nil, fmt.Errorf("create namespace: %w", err)
	}
	return e, e.startController()
}

// account is the connection of a service account.
func (e *environment) account(name string) (*rest.Config, error) {
	return e.plane.ConfigFor("system:serviceaccount:bpfmap-system:"+name, serviceAccountGroups...)
}

// startController starts the controller; the kernel ends it with this process.
func (e *environment) startController() error {
	log, err := os.OpenFile(filepath.Join(e.plane.Dir(), "controller.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the controller's log: %w", err)
	}
	e.controller, e.ended = exec.Command(e.program, "controller", "--kubeconfig", e.kubeconfig, "--metrics-bind-address=0", "--health-probe-bind-address=0"), make(chan struct{})
	e.controller.Stdout, e.controller.Stderr = log, log
	e.controller.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the death signal follows the thread that forked
		defer runtime.UnlockOSThread()
		defer close(e.ended)
		defer func() { _ = log.Close() }()
		err := e.controller.Start()
		started <- err
		if err == nil {
			_ = e.controller.Wait()
		}
	}()
	return <-started
}

// stopController ends the controller as Kubernetes does.
func (e *environment) stopController() {
	if e.controller == nil {
		return
	}
	_ = e.controller.Process.Signal(syscall.SIGTERM)
	<-e.ended
	e.past += e.controller.ProcessState.UserTime() + e.controller.ProcessState.SystemTime()
	e.controller = nil
}

func (e *environment) stop() error {
	e.stopController()
	return e.plane.Stop()
}

// usage is what a process took of the machine.
type usage struct {
	cpu  time.Duration
	peak int64 // resident bytes
}

// usageOf reads /proc. The peak begins anew with resetPeak.
func usageOf(pid int) (usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, err
	}
	// The second field, the program's name, may hold blanks; the fields after it are counted from 3.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var ticks int64
	for _, field := range []string{fields[14-3], fields[15-3]} {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return usage{}, err
		}
		ticks += n
	}
	u := usage{cpu: time.Duration(ticks) * (time.Second / 100)} // USER_HZ is 100 on every architecture of Linux that Go has
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return usage{}, err
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			u.peak = kib << 10
		}
	}
	return u, nil
}

// resetPeak lets the peak of a process's resident memory begin anew.
func resetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}
