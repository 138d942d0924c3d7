// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package confinement_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/bpfmap-io/bpfmap-operator/test/confinement"
	"github.com/bpfmap-io/bpfmap-operator/test/program"
)

// bpfmapPath is the path of the bpfmap binary.
var bpfmapPath string

func TestMain(m *testing.M) {
	code := program.Main(m, &bpfmapPath)
	confinement.Stop(code != 0)
	os.Exit(code)
}

// needAppArmor skips the test where the kernel has no AppArmor, unless $CONFINEMENT says that it must have.
func needAppArmor(t *testing.T) {
	t.Helper()
	enabled, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	switch {
	case err == nil && strings.TrimSpace(string(enabled)) == "Y" && os.Getenv("CONFINEMENT") != "":
	case os.Getenv("CONFINEMENT") != "":
		t.Fatalf("this kernel has no AppArmor: %q, %v", enabled, err)
	default:
		t.Skip("changes the machine's AppArmor profiles and BPF file system; make test-kernels PACKAGE=test/confinement runs it in virtual machines")
	}
}

// TestDefaultProfiles manages maps under containerd's default profiles of AppArmor and seccomp, as the chart's default agent
// would.
func TestDefaultProfiles(t *testing.T) {
	needAppArmor(t)
	confinement.Manage(t, confinement.New(t, bpfmapPath))
}

// TestProfileDenies shows that the profile is in force: below /sys/fs, where the node has its BPF file system, it lets no
// container write. The chart mounts it elsewhere for that reason.
func TestProfileDenies(t *testing.T) {
	needAppArmor(t)
	c := confinement.New(t, bpfmapPath)
	c.Write(t, confinement.Manifest)
	pod := &c.DaemonSet.Spec.Template.Spec
	agent := &pod.Containers[0]
	at := slices.IndexFunc(agent.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == "/host/sys/fs" })
	if at < 0 {
		t.Fatalf("the chart mounts %v", agent.VolumeMounts)
	}
	name := agent.VolumeMounts[at].Name
	agent.VolumeMounts = []corev1.VolumeMount{{Name: name, MountPath: "/sys/fs/bpf"}}
	for i := range pod.Volumes {
		if pod.Volumes[i].Name == name {
			pod.Volumes[i].HostPath.Path = "/sys/fs/bpf"
		}
	}
	agent.Env = nil
	out, err := c.Run(t, "apply", "-f", "/map.yaml")
	if err == nil {
		t.Errorf("apply below /sys/fs wasn't denied:\n%s", out)
	}
	for _, want := range []string{"permission denied", "AppArmor confines this process as cri-containerd.apparmor.d", "agent.podSecurityContext.appArmorProfile.type"} {
		if !strings.Contains(out, want) {
			t.Errorf("apply below /sys/fs says\n%s\nwant %q", out, want)
		}
	}
	if _, err := os.Stat(confinement.Pin); !os.IsNotExist(err) {
		t.Errorf("something was pinned: %v", err)
	}
}
