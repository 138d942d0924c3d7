// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// TestUnprivilegedReader lets a pod without uid 0 and without a capability read a pinned map by its
// mode and group, in hex since the schemas are the agent's alone, and one without the group not.
func TestUnprivilegedReader(t *testing.T) {
	w := newWorld(t)
	gid := int64(2000)
	w.make("limits", contents{1: 10, 2: 20}, func(s *v1alpha1.BPFMapSpec) {
		s.Pin = &v1alpha1.Pin{Mode: "0640", GID: &gid}
	})
	w.awaitReady("limits", 3)
	for i, member := range []bool{true, false} {
		groups, want, words := []int64{gid}, corev1.PodSucceeded, []string{"01 00 00 00 = 0a 00 00 00", "02 00 00 00 = 14 00 00 00"}
		if !member {
			groups, want, words = nil, corev1.PodFailed, []string{"permi"}
		}
		name := fmt.Sprintf("member-%v", member)
		pod := readingPod(w.namespace, name, image(t), nodes[i].name, groups)
		if err := api.Create(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			if err := api.Get(t.Context(), client.ObjectKeyFromObject(pod), pod); err != nil {
				return err
			}
			if p := pod.Status.Phase; p != corev1.PodSucceeded && p != corev1.PodFailed {
				return fmt.Errorf("pod %s is %s: %+v", name, p, pod.Status.ContainerStatuses)
			}
			return nil
		})
		log := kubectl(t, "logs", "--namespace", w.namespace, name)
		t.Logf("%s: %s\n%s", name, pod.Status.Phase, log)
		if pod.Status.Phase != want {
			t.Errorf("pod %s is %s, want %s", name, pod.Status.Phase, want)
		}
		for _, word := range words {
			if !strings.Contains(log, word) {
				t.Errorf("pod %s didn't print %q", name, word)
			}
		}
	}
}

func readingPod(namespace, name, image, node string, groups []int64) *corev1.Pod {
	user, yes, no := int64(65532), true, false
	directory := corev1.HostPathDirectory
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{
			NodeName:      node,
			RestartPolicy: corev1.RestartPolicyNever,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsUser: &user, RunAsGroup: &user, RunAsNonRoot: &yes, SupplementalGroups: groups,
				// The runtimes' default profiles admit bpf(2) only with a capability.
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeUnconfined},
			},
			Containers: []corev1.Container{{
				Name: "reader", Image: image, ImagePullPolicy: corev1.PullIfNotPresent,
				Args: []string{"dump", "--sort", "--pin", "/sys/fs/bpf/bpfmap/" + namespace + "/limits"},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
				VolumeMounts: []corev1.VolumeMount{{Name: "bpffs", MountPath: "/sys/fs/bpf", ReadOnly: true}},
			}},
			Volumes: []corev1.Volume{{Name: "bpffs", VolumeSource: corev1.VolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: "/sys/fs/bpf", Type: &directory},
			}}},
		},
	}
}
