// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// whyDenied says why the BPF file system refused something, and what to do. The modes of files don't keep root out.
func whyDenied(err error, confined bpf.Confinement) string {
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() == 0 && confined.Module != "" {
		return confined.Module + " confines this process as " + confined.As + ": " + wayOut(confined)
	}
	return "usually owned by root; run as root"
}

// wayOut is what to do where a process is confined that should not be: in a pod with the type or the profile that container
// runtimes give by default, a value of the chart.
func wayOut(confined bpf.Confinement) string {
	switch {
	case inPod() && strings.HasPrefix(confined.Type(), "container_"):
		return "set the chart's value agent.podSecurityContext.seLinuxOptions.type, to spc_t on most systems"
	case inPod() && confined.Module == bpf.AppArmor:
		return "set the chart's value agent.podSecurityContext.appArmorProfile.type to Unconfined"
	}
	return "the node's log names what it denied (ausearch -m avc, or dmesg)"
}

// inPod says whether this process runs in a pod.
func inPod() bool { return os.Getenv("KUBERNETES_SERVICE_HOST") != "" }
