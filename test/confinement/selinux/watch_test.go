// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package selinux_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/bpfmap-io/bpfmap-operator/internal/cgroup"
	"github.com/bpfmap-io/bpfmap-operator/internal/mounts"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinwatch"
	"github.com/bpfmap-io/bpfmap-operator/test/confinement"
)

// inside is set where this program runs in the agent's place.
const inside = "CONFINEMENT_INSIDE"

// TestWatches: what the agent does besides managing maps, which no command of bpfmap does: it waits for changes of pins and
// mounts, and reads the limits of its control groups.
func TestWatches(t *testing.T) {
	if os.Getenv(inside) != "" {
		watchInside(t)
		return
	}
	needSELinux(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := confinement.New(t, self, privileged)
	c.Write(t, "")
	agent := &c.DaemonSet.Spec.Template.Spec.Containers[0]
	agent.Env = append(agent.Env, corev1.EnvVar{Name: inside, Value: "yes"})
	if out, err := c.Run(t, "-test.v", "-test.run=^TestWatches$"); err != nil || !strings.Contains(out, "--- PASS: TestWatches") {
		t.Errorf("in the container: %v\n%s", err, out)
	}
	if found := denials(t, "spc_t"); len(found) > 0 {
		t.Errorf("the kernel denied\n%s", strings.Join(found, "\n"))
	}
}

func watchInside(t *testing.T) {
	begins := func(what string, watch func(ctx context.Context, began func()) error) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if err := watch(ctx, cancel); !errors.Is(err, context.Canceled) {
			t.Errorf("watch %s: %v", what, err)
		}
	}
	begins("pins", func(ctx context.Context, began func()) error {
		var followed pinwatch.Followed[string]
		followed.Set("a map", "bpfmap/confined/blocklist")
		return pinwatch.Run(ctx, os.Getenv(mounts.RootEnv)+"/sys/fs/bpf", &followed, func(string, string) { began() })
	})
	begins("mounts", mounts.Watch)
	if _, err := cgroup.Limits("/"); err != nil {
		t.Error(err)
	}
	if _, err := cgroup.NodeMemory("/"); err != nil {
		t.Error(err)
	}
}
