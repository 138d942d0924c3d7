// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package confinement

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/test/await"
	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

// defaultCapabilities are what ctr(1) gives a container, as runtimes do.
var defaultCapabilities = strings.Fields("CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE")

// daemon is a containerd of the tests' own. It takes long to start where CPUs are emulated, so the tests share it.
var daemon containerd

// Stop ends what the containers of this process ran on, and prints its log if it is asked to.
func Stop(show bool) { daemon.stop(show) }

type containerd struct {
	dir string
	cmd *exec.Cmd
}

// start runs it, unless it runs, and returns the address of its socket.
func (c *containerd) start(t *testing.T) string {
	t.Helper()
	if c.cmd != nil {
		return c.path("s")
	}
	var err error
	if c.dir, err = os.MkdirTemp("", "ctd"); err != nil { // a socket's path has less than 108 bytes
		t.Fatal(err)
	}
	text := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n", c.path("root"), c.path("state"), c.path("s"))
	if err := os.WriteFile(c.path("config.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(c.path("log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command("containerd", "--config", c.path("config.toml"))
	if SELinux() {
		cmd = exec.Command("runcon", append([]string{engineLabel}, cmd.Args...)...)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.cmd = cmd
	await.Nil(t, time.Minute, func() error {
		return exec.Command("ctr", "--address", c.path("s"), "version").Run()
	})
	return c.path("s")
}

func (c *containerd) path(name string) string { return filepath.Join(c.dir, name) }

// stop ends it, and shows its log if it is asked to.
func (c *containerd) stop(show bool) {
	if c.cmd == nil {
		return
	}
	_ = c.cmd.Process.Signal(os.Interrupt)
	_ = c.cmd.Wait()
	if said, err := os.ReadFile(c.path("log")); err == nil && show {
		fmt.Fprintf(os.Stderr, "containerd:\n%s", said)
	}
	_ = os.RemoveAll(c.dir)
}

// rendered are the agents' DaemonSets by the values: rendering a chart takes seconds where CPUs are emulated.
var rendered = map[string]string{}

// agentOf renders the chart with values, and returns the DaemonSet of the agents.
func agentOf(t *testing.T, values []string) *appsv1.DaemonSet {
	t.Helper()
	set := strings.Join(values, ",")
	out, ok := rendered[set]
	if !ok {
		var err error
		if out, err = controlplane.RenderChart(t.Context(), "x", "default", "--show-only", "templates/agent.yaml", "--set", set); err != nil {
			t.Fatal(err)
		}
		rendered[set] = out
	}
	ds := &appsv1.DaemonSet{}
	if err := yaml.UnmarshalStrict([]byte(out), ds); err != nil {
		t.Fatal(err)
	}
	return ds
}

// Container runs the binary in a container as a kubelet and containerd would run the agent's of the DaemonSet: with its
// user, capabilities, mounts and variables, and the profiles of the node's security modules, for which the DaemonSet asks.
type Container struct {
	// DaemonSet is the agents', and may be changed.
	DaemonSet *appsv1.DaemonSet

	socket, folder, manifest string
	runs                     int
}

// New renders the chart with values, such as "agent.priorityClassName=x". bpfmap is the path of the binary.
func New(t *testing.T, bpfmap string, values ...string) *Container {
	t.Helper()
	c := &Container{DaemonSet: agentOf(t, values), socket: daemon.start(t), folder: t.TempDir()}
	c.manifest = filepath.Join(c.folder, "map.yaml")
	binary, err := os.ReadFile(bpfmap)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(c.rootfs(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.rootfs(), "bpfmap"), binary, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, mount := range c.DaemonSet.Spec.Template.Spec.Containers[0].VolumeMounts {
		if err := os.MkdirAll(filepath.Join(c.rootfs(), mount.MountPath), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *Container) rootfs() string { return filepath.Join(c.folder, "rootfs") }

// Write sets the manifests that the next program gets as /map.yaml.
func (c *Container) Write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(c.manifest, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Run returns what the program printed.
func (c *Container) Run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := c.command(ctx, t, args...).CombinedOutput()
	return string(out), err
}

func (c *Container) command(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	pod := c.DaemonSet.Spec.Template.Spec
	agent := pod.Containers[0]
	if pod.SecurityContext.AppArmorProfile != nil || agent.SecurityContext.AppArmorProfile != nil || agent.SecurityContext.Privileged != nil {
		t.Fatal("the chart asks for another profile than the runtime's")
	}
	run := []string{
		"--address", c.socket, "run", "--rm", "--rootfs", "--read-only", "--seccomp",
		"--env", "KUBERNETES_SERVICE_HOST=192.0.2.1", // as in every pod
		"--mount", "type=bind,src=" + c.manifest + ",dst=/map.yaml,options=bind:ro",
	}
	for _, name := range defaultCapabilities {
		if !slices.Contains(agent.SecurityContext.Capabilities.Add, corev1.Capability(name)) {
			run = append(run, "--cap-drop", "CAP_"+name)
		}
	}
	for _, name := range agent.SecurityContext.Capabilities.Add {
		run = append(run, "--cap-add", "CAP_"+string(name))
	}
	for _, e := range agent.Env {
		if e.ValueFrom == nil {
			run = append(run, "--env", e.Name+"="+e.Value)
		}
	}
	for _, mount := range agent.VolumeMounts {
		run = append(run, "--mount", c.mount(t, pod.Volumes, mount))
	}
	if SELinux() {
		run = append(run, "--runc-binary", c.labelled(t))
	} else {
		run = append(run, "--apparmor-default-profile", "cri-containerd.apparmor.d")
	}
	run = append(run, c.rootfs(), fmt.Sprintf("x%d", time.Now().UnixNano()), "/bpfmap")
	return exec.CommandContext(ctx, "ctr", append(run, args...)...)
}

// mount is a volume's mount as ctr(1) takes it.
func (c *Container) mount(t *testing.T, volumes []corev1.Volume, m corev1.VolumeMount) string {
	t.Helper()
	source := ""
	for _, v := range volumes {
		if v.Name != m.Name {
			continue
		}
		if v.HostPath != nil {
			source = v.HostPath.Path
			continue
		}
		source = filepath.Join(c.folder, "volumes", v.Name)
		if err := os.MkdirAll(source, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	options := "rbind:rprivate"
	if m.MountPropagation != nil && *m.MountPropagation == corev1.MountPropagationHostToContainer {
		options = "rbind:rslave"
	}
	if m.ReadOnly {
		options += ":ro"
	}
	return "type=bind,src=" + source + ",dst=" + m.MountPath + ",options=" + options
}
