// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"bufio"
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

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/mounts"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

// soon bounds what has to be seen at once. The agent's next probe without being told would come after a minute,
// and its next resync after an hour.
const soon = 15 * time.Second

// containerNode is a node with a mount namespace of its own, in which "/" is shared as systemd has it, and an
// agent in a container on it: in a mount namespace with the volumes of config/agent, mounted as a kubelet and
// a runtime do.
type containerNode struct {
	*node
	holder *exec.Cmd
}

// newContainerNode makes a node whose BPF file system is mounted at /sys/fs/bpf.
func newContainerNode(t *testing.T, w *world) *containerNode {
	t.Helper()
	n := &containerNode{node: newNode(t, w, false)}
	n.holder = exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-ec",
		"mount --make-rshared /; mount -t bpf bpf /sys/fs/bpf; echo mounted; exec sleep infinity")
	n.holder.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	n.holder.Stderr = os.Stderr
	out, err := n.holder.StdoutPipe()
	if err == nil {
		err = n.holder.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(n.holder.Process.Kill(), n.holder.Wait()) })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("make a mount namespace (this test needs root): %q, %v", line, err)
	}
	n.bpffs = fmt.Sprintf("/proc/%d/root/sys/fs/bpf", n.holder.Process.Pid)
	return n
}

// inside runs a command on the node.
func (n *containerNode) inside(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "nsenter", append([]string{"--mount", "--target", fmt.Sprint(n.holder.Process.Pid), "--"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
}

// startContainer runs the agent with the mounts of its container.
func (n *containerNode) startContainer(t *testing.T) {
	t.Helper()
	root := t.TempDir()
	script := "mount --make-rslave /\nmount --bind " + root + " " + root + "\n" + strings.Join(mountsOf(t, root), "\n") + "\nexec \"$@\"\n"
	n.agent = launchCommand(t, nil, "agent", exec.Command("nsenter", "--mount", "--target", fmt.Sprint(n.holder.Process.Pid), "--",
		"unshare", "--mount", "--propagation", "unchanged", "sh", "-ec", script, "sh",
		"env", mounts.RootEnv+"="+root+"/host",
		program, "agent", "--kubeconfig", agentKubeconfig, "--node-name", n.name, "--resync-period", "1h"))
}

// mountsOf are the commands that mount the volumes of the agent's container in root: recursively bound, as
// slaves of the node's, and read-only but for what is mounted in them.
func mountsOf(t *testing.T, root string) (commands []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(controlplane.Root(), "config/agent/agent.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var agents appsv1.DaemonSet
	if err := yaml.UnmarshalStrict(text, &agents); err != nil {
		t.Fatal(err)
	}
	pod := agents.Spec.Template.Spec
	paths := pod.Containers[0].VolumeMounts
	slices.SortFunc(paths, func(a, b corev1.VolumeMount) int { return strings.Compare(a.MountPath, b.MountPath) })
	for _, m := range paths {
		v := pod.Volumes[slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })]
		at := root + m.MountPath
		switch {
		case v.HostPath != nil && *m.MountPropagation == corev1.MountPropagationHostToContainer:
			commands = append(commands, "mkdir -p "+at, "mount --rbind "+v.HostPath.Path+" "+at, "mount --make-rslave "+at)
		case v.EmptyDir != nil:
			commands = append(commands, "mount -t tmpfs none "+at) // its mount point is there
		default:
			t.Fatalf("this test doesn't know how volume %s is mounted", m.Name)
		}
		if m.ReadOnly {
			commands = append(commands, "mount -o remount,bind,ro "+at)
		}
	}
	return commands
}

// awaitSoon waits until an error is nil and says how long that took.
func awaitSoon(t *testing.T, what string, do func() error) {
	t.Helper()
	start := time.Now()
	await.Nil(t, soon, do)
	t.Logf("%s after %s", what, time.Since(start).Round(10*time.Millisecond))
}

// TestRemountUnderContainer mounts the node's BPF file system anew under a working agent, in three ways. With
// the chart's mounts the agent sees it at once, and the maps are there again.
func TestRemountUnderContainer(t *testing.T) {
	w := newWorld(t)
	n := newContainerNode(t, w)
	n.startContainer(t)
	w.apply("blocklist", blocklist)
	w.awaitReady("blocklist")
	state := func() (m v1alpha1.NodeMap, err error) {
		var s v1alpha1.BPFNodeState
		if err := w.Get(t.Context(), client.ObjectKey{Name: n.name}, &s); err != nil || len(s.Status.Maps) != 1 {
			return m, errors.Join(err, fmt.Errorf("the node reports %d maps", len(s.Status.Maps)))
		}
		return s.Status.Maps[0], nil
	}
	if m, err := state(); err != nil || m.PinPath != "/sys/fs/bpf/bpfmap/"+w.namespace+"/blocklist" {
		t.Fatalf("the pin is reported at %q (%v), want the node's own path", m.PinPath, err)
	}
	isBack := func(before int64) func() error {
		return func() error {
			m, err := state()
			if err != nil {
				return err
			}
			if got, err := n.read("blocklist"); err != nil || len(got) != 2 || m.MapID == before || m.State != v1alpha1.NodeMapReady {
				return fmt.Errorf("the node holds %v (%w) and reports %+v, not a map other than %d", got, err, m, before)
			}
			return nil
		}
	}
	for _, c := range []struct {
		name  string
		steps [][]string
	}{
		{"mounted anew", [][]string{{"umount", "/sys/fs/bpf"}, {"mount", "-t", "bpf", "bpf", "/sys/fs/bpf"}}},
		{"mounted over", [][]string{{"mount", "-t", "bpf", "bpf", "/sys/fs/bpf"}}},
		{"uncovered", [][]string{{"umount", "/sys/fs/bpf"}, {"sh", "-c", "rm -r /sys/fs/bpf/bpfmap"}}},
	} {
		m, err := state()
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range c.steps {
			n.inside(t, step...)
		}
		awaitSoon(t, c.name+": the map is back", isBack(m.MapID))
	}
	if note := w.awaitEvent("blocklist", "DriftRepaired"); !strings.Contains(note, "the BPF file system was mounted anew or emptied") {
		t.Errorf("note %q", note)
	}

	// Nothing is there for a while.
	n.inside(t, "umount", "/sys/fs/bpf")
	awaitSoon(t, "unmounted: the map isn't Ready", func() error {
		m, err := state()
		if err == nil && (m.State != v1alpha1.NodeMapFailed || m.Reason != v1alpha1.NodeReasonNodeNotReady) {
			err = fmt.Errorf("the node reports %+v", m)
		}
		return err
	})
	if message := w.awaitNodeReason(n.name, v1alpha1.ReasonBPFFSMissing); !strings.Contains(message, "at /sys/fs/bpf:") {
		t.Errorf("the message %q doesn't tell the node's path", message)
	}
	n.inside(t, "mount", "-t", "bpf", "bpf", "/sys/fs/bpf")
	awaitSoon(t, "mounted again: the map is back", isBack(0))
}

// TestContainerSeesNoControlGroups: the node's control groups aren't in the folder that the agent gets.
func TestContainerSeesNoControlGroups(t *testing.T) {
	root := t.TempDir()
	script := "mount --make-rslave /\nmount --bind " + root + " " + root + "\n" + strings.Join(mountsOf(t, root), "\n") +
		"\nls -A " + root + "/host/sys/fs/cgroup\ntouch " + root + "/host/sys/fs/cgroup/x && echo writable\necho end"
	out, err := exec.CommandContext(context.Background(), "unshare", "--mount", "--propagation", "private", "sh", "-ec", script+" || true").Output()
	if err != nil || string(out) != "end\n" {
		t.Errorf("it sees %q (%v)", out, err)
	}
}
