// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// awaitNode waits until a node's state gives a reason, and returns its message.
func awaitNode(t *testing.T, name, reason string) (message string) {
	t.Helper()
	eventually(t, func() error {
		state := &v1alpha1.BPFNodeState{}
		if err := api.Get(t.Context(), client.ObjectKey{Name: name}, state); err != nil {
			return err
		}
		c := meta.FindStatusCondition(state.Status.Conditions, v1alpha1.ConditionReady)
		if c == nil || c.Reason != reason {
			return fmt.Errorf("condition Ready of %s is %+v, want the reason %s", name, c, reason)
		}
		message = c.Message
		return nil
	})
	return message
}

// awaitNodeReason waits until a map gives a reason on a node, and returns its message.
func (w *world) awaitNodeReason(name, node, reason string) (message string) {
	w.t.Helper()
	eventually(w.t, func() error {
		m, err := w.get(name)
		if err != nil {
			return err
		}
		s, err := nodeState(m, node)
		if err != nil || s.Reason != reason {
			return fmt.Errorf("%s on %s is %+v (%w), want the reason %s", name, node, s, err, reason)
		}
		message = s.Message
		return nil
	})
	return message
}

// TestReadOnlyBPFFS remounts one node's BPF file system under the agent.
func TestReadOnlyBPFFS(t *testing.T) {
	w := newWorld(t)
	// Otherwise the rollout halts when it meets that node.
	w.make("blocklist", contents{1: 10}, func(s *v1alpha1.BPFMapSpec) {
		s.Rollout = &v1alpha1.Rollout{MaxUnavailable: new(intstr.FromString("100%"))}
	})
	w.awaitReady("blocklist", 3)
	writable := func() error {
		return quiet(context.Background(), "hack/cluster/ctl.sh", "inside", "node-2", "mount", "-o", "remount,rw", "/sys/fs/bpf")
	}
	t.Cleanup(func() {
		if err := writable(); err != nil {
			t.Error(err)
		}
	})
	ctl(t, "inside", "node-2", "mount", "-o", "remount,ro", "/sys/fs/bpf")
	w.edit(declare(contents{1: 11}))
	if message := awaitNode(t, "node-2", v1alpha1.ReasonBPFFSReadOnly); !strings.Contains(message, "remount,rw") {
		t.Errorf("message %q doesn't say what to do", message)
	}
	nodes[0].awaitContents(t, w.namespace, "blocklist", contents{1: 11})
	if err := writable(); err != nil {
		t.Fatal(err)
	}
	w.awaitEverywhere("blocklist", contents{1: 11})
	w.awaitReady("blocklist", 3)
}

// TestPinDirectoryOfOthers refuses to work in a directory that belongs to somebody else.
func TestPinDirectoryOfOthers(t *testing.T) {
	w := newWorld(t)
	dir := nodes[2].path(t, "/sys/fs/bpf/bpfmap")
	t.Cleanup(func() {
		if err := os.Chown(dir, 0, 0); err != nil {
			t.Error(err)
		}
	})
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chown(dir, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	w.make("blocklist", contents{1: 10})
	if message := w.awaitNodeReason("blocklist", "node-3", v1alpha1.NodeReasonPinConflict); !strings.Contains(message, "owner uid 65534") {
		t.Errorf("message %q doesn't say whose the directory is", message)
	}
	w.awaitEvent(v1alpha1.NodeReasonPinConflict) // of the controller; the node's own is one of its BPFNodeState
	if err := os.Chown(dir, 0, 0); err != nil {
		t.Fatal(err)
	}
	w.awaitReady("blocklist", 3)
}

// TestImageThatCannotBePulled leaves the maps as they are, and the pods say why.
func TestImageThatCannotBePulled(t *testing.T) {
	w := newWorld(t)
	w.make("blocklist", contents{1: 10})
	w.awaitReady("blocklist", 3)
	before := ids(t, w.namespace, "blocklist")
	stop := w.readAlong(contents{1: 10})
	t.Cleanup(func() {
		if err := install(context.Background()); err != nil {
			t.Error(err)
		}
	})
	// Nothing listens on the node itself, so that nobody outside is asked.
	if err := quiet(t.Context(), "helm", "upgrade", "bpfmap", "charts/bpfmap-operator", "--namespace", system,
		"--reset-values", "--set", "image.repository=localhost/absent"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		text := kubectl(t, "get", "pods", "--namespace", system, "-o", "jsonpath={.items[*].status.containerStatuses[*].state.waiting.reason}")
		if !strings.Contains(text, "ErrImagePull") && !strings.Contains(text, "ImagePullBackOff") {
			return fmt.Errorf("the pods wait for %q", text)
		}
		return nil
	})
	if err := install(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.edit(declare(contents{1: 10, 2: 20}))
	w.awaitEverywhere("blocklist", contents{1: 10, 2: 20})
	stop()
	w.awaitStatus(before)
}

// TestWrongChartValues says which value is wrong before anything changes.
func TestWrongChartValues(t *testing.T) {
	for value, word := range map[string]string{
		"agent.resyncPeriod=often": "resyncPeriod", "agent.resyncPeriode=5m": "resyncPeriode", "controller.replicas=-1": "replicas",
	} {
		err := quiet(t.Context(), "helm", "upgrade", "bpfmap", "charts/bpfmap-operator", "--namespace", system, "--set", value)
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("--set %s: %v", value, err)
		}
	}
}

// TestProgramHoldsMap runs a program that uses a managed map in a pod: it sees changes at once, and keeps
// the map alive beyond its pin.
func TestProgramHoldsMap(t *testing.T) {
	ctl(t, "load-program", "./test/e2e/holder", "localhost/holder:e2e")
	w := newWorld(t)
	m := w.make("blocklist", contents{1: 10})
	w.awaitReady("blocklist", 3)
	id := fmt.Sprint(nodes[0].id(t, w.namespace, "blocklist"))
	pod := holdingPod(w.namespace, nodes[0].name, "/sys/fs/bpf/bpfmap/"+w.namespace+"/blocklist")
	if err := api.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	sees := func(value string) {
		t.Helper()
		eventually(t, func() error {
			log, err := output(t.Context(), "kubectl", "logs", "--namespace", w.namespace, pod.Name)
			if err != nil || !strings.HasSuffix(strings.TrimSpace(log), "sees "+value) {
				return fmt.Errorf("the program says %q (%w), want %s", log, err, value)
			}
			return nil
		})
	}
	sees("10")
	w.edit(declare(contents{1: 11}))
	sees("11")
	if err := api.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	nodes[0].awaitNoPin(t, w.namespace, "blocklist")
	alive := func() bool { return quiet(t.Context(), "bpftool", "map", "show", "id", id) == nil }
	if !alive() {
		t.Error("the map went with its pin, though a program uses it")
	}
	if err := api.Delete(t.Context(), pod, client.GracePeriodSeconds(1)); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if alive() {
			return fmt.Errorf("map %s is still there", id)
		}
		return nil
	})
}

func holdingPod(namespace, node, pin string) *corev1.Pod {
	user, no := int64(0), false
	directory := corev1.HostPathDirectory
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "holder"},
		Spec: corev1.PodSpec{
			NodeName: node, RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{{
				Name: "holder", Image: "localhost/holder:e2e", ImagePullPolicy: corev1.PullNever, Args: []string{pin},
				SecurityContext: &corev1.SecurityContext{
					RunAsUser: &user, AllowPrivilegeEscalation: &no,
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}, Add: []corev1.Capability{"BPF"}},
				},
				VolumeMounts: []corev1.VolumeMount{{Name: "bpffs", MountPath: "/sys/fs/bpf"}},
			}},
			Volumes: []corev1.Volume{{Name: "bpffs", VolumeSource: corev1.VolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: "/sys/fs/bpf", Type: &directory},
			}}},
		},
	}
}
