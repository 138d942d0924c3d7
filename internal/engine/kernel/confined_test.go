// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// TestWhyDenied: only the types that containers have by default are told to take another; who has one reads the log.
func TestWhyDenied(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("must run as root, whom the modes of files don't keep out")
	}
	selinux := func(typ string) bpf.Confinement {
		return bpf.Confinement{Module: bpf.SELinux, As: "system_u:system_r:" + typ + ":s0:c1,c2"}
	}
	appArmor := bpf.Confinement{Module: bpf.AppArmor, As: "cri-containerd.apparmor.d"}
	for _, c := range []struct {
		pod      string
		err      error
		confined bpf.Confinement
		want     string
		not      string
	}{
		{"192.0.2.1", fs.ErrPermission, selinux("container_t"), "as system_u:system_r:container_t:s0:c1,c2: set the chart's value agent.podSecurityContext.seLinuxOptions.type, to spc_t", "ausearch"},
		{"192.0.2.1", fs.ErrPermission, selinux("spc_t"), "ausearch -m avc", "chart"},
		{"", fs.ErrPermission, selinux("container_t"), "ausearch -m avc", "chart"},
		{"192.0.2.1", fs.ErrPermission, appArmor, "AppArmor confines this process as cri-containerd.apparmor.d: set the chart's value agent.podSecurityContext.appArmorProfile.type to Unconfined", "ausearch"},
		{"192.0.2.1", fs.ErrPermission, bpf.Confinement{}, "run as root", "confines"},
		{"192.0.2.1", fs.ErrInvalid, selinux("container_t"), "run as root", "confines"},
	} {
		t.Setenv("KUBERNETES_SERVICE_HOST", c.pod)
		if got := whyDenied(c.err, c.confined); !strings.Contains(got, c.want) || strings.Contains(got, c.not) {
			t.Errorf("in the pod %q, %v as %v: %q, want %q and not %q", c.pod, c.err, c.confined, got, c.want, c.not)
		}
	}
}
