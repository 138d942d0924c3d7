// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package confinement_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/bpfmap-io/bpfmap-operator/test/program"
)

// bpfmapPath is the path of the bpfmap binary.
var bpfmapPath string

func TestMain(m *testing.M) {
	code := program.Main(m, &bpfmapPath)
	daemon.stop(code != 0)
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

const manifest = `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {name: blocklist, namespace: confined}
spec:
  type: Hash
  key: {type: u32}
  value: {type: u64}
  maxEntries: 16
  entries: [{key: 1, value: 10}]
`

// TestDefaultProfiles makes, locks, pins, reads, gives away, changes and deletes a map under containerd's default profiles
// of AppArmor and seccomp, as the chart's default agent would.
func TestDefaultProfiles(t *testing.T) {
	needAppArmor(t)
	c := newContainer(t)
	c.write(t, manifest)
	const pin = "/sys/fs/bpf/bpfmap/confined/blocklist"
	t.Cleanup(func() { _, _ = c.run(t, "delete", "-f", "/map.yaml") })
	for _, step := range []struct {
		args []string
		want string
	}{
		{[]string{"apply", "-f", "/map.yaml"}, "created"},
		{[]string{"apply", "-f", "/map.yaml"}, "unchanged"},
		{[]string{"dump", "confined/blocklist"}, "10"},
		{[]string{"map", "update", "--pin", pin, "--key", "u32:1", "--value", "u64:11"}, ""},
		{[]string{"diff", "-f", "/map.yaml"}, "11"},
		{[]string{"apply", "-f", "/map.yaml"}, "repaired"},
		{[]string{"list"}, "confined/blocklist"},
	} {
		out, err := c.run(t, step.args...)
		if differs := step.args[0] == "diff"; (err == nil) == differs || !strings.Contains(out, step.want) {
			t.Fatalf("bpfmap %s: %v\n%s", strings.Join(step.args, " "), err, out)
		}
	}
	c.write(t, strings.Replace(manifest, "spec:", "spec:\n  pin: {mode: \"0640\", uid: 65534}", 1))
	if out, err := c.run(t, "apply", "-f", "/map.yaml"); err != nil {
		t.Fatalf("give the pin away: %v\n%s", err, out)
	}
	if out, err := c.run(t, "delete", "-f", "/map.yaml"); err != nil || !strings.Contains(out, "deleted") {
		t.Fatalf("delete: %v\n%s", err, out)
	}
	if _, err := os.Stat(pin); !os.IsNotExist(err) {
		t.Errorf("the pin is still there: %v", err)
	}
}

// TestProfileDenies shows that the profile is in force: below /sys/fs, where the node has its BPF file system, it lets no
// container write. The chart mounts it elsewhere for that reason.
func TestProfileDenies(t *testing.T) {
	needAppArmor(t)
	c := newContainer(t)
	c.write(t, manifest)
	pod := &c.ds.Spec.Template.Spec
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
	out, err := c.run(t, "apply", "-f", "/map.yaml")
	if err == nil || !strings.Contains(out, "permission denied") {
		t.Errorf("apply below /sys/fs: %v\n%s\nwant it denied", err, out)
	}
	if _, err := os.Stat(filepath.Join("/sys/fs/bpf", "bpfmap", "confined", "blocklist")); !os.IsNotExist(err) {
		t.Errorf("something was pinned: %v", err)
	}
}

// write sets the manifest that the next program gets as /map.yaml.
func (c *container) write(t *testing.T, text string) {
	t.Helper()
	c.manifest = filepath.Join(t.TempDir(), "map.yaml")
	if err := os.WriteFile(c.manifest, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
