// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"fmt"
	"maps"
	"strings"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestAPIServerAway stops the API server: agents go on with what they know, and everything that came
// to pass meanwhile shows up afterwards.
func TestAPIServerAway(t *testing.T) {
	const away = 40 * time.Second
	reinstall(t, "agent.resyncPeriod=2s")
	w := newWorld(t)
	declared := contents{1: 10, 2: 20, 3: 30}
	w.make("blocklist", declared)
	w.awaitReady("blocklist", 3)
	before := ids(t, w.namespace, "blocklist")

	startPart(t, "kube-apiserver")
	ctl(t, "stop", "kube-apiserver")
	stopped := time.Now()
	time.Sleep(5 * time.Second) // so that watches have broken
	nodes[0].remove(t, w.namespace, "blocklist", 1)
	nodes[1].set(t, w.namespace, 2, 666)
	drifted := time.Now()
	w.awaitEverywhere("blocklist", declared)
	t.Logf("drift repaired after %.1f s without the API server, at a resync period of 2 s", time.Since(drifted).Seconds())
	// Late in the outage too: nothing may have given up.
	time.Sleep(time.Until(stopped.Add(away)))
	nodes[2].remove(t, w.namespace, "blocklist", 3)
	w.awaitEverywhere("blocklist", declared)

	ctl(t, "start", "kube-apiserver")
	back := time.Now()
	declared[4] = 40
	w.edit(declare(declared))
	w.awaitEverywhere("blocklist", declared)
	w.awaitReady("blocklist", 3)
	t.Logf("an edit was Ready everywhere %.1f s after the API server came back from %.0f s", time.Since(back).Seconds(), back.Sub(stopped).Seconds())
	w.awaitEvent("DriftRepaired")
	if after := ids(t, w.namespace, "blocklist"); !maps.Equal(after, before) {
		t.Errorf("map ids are %v, were %v", after, before)
	}
	eventually(t, func() error { return allNodesReady(t) })
	if err := rolledOut(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestLeaderKilled kills the one of two controllers that leads.
func TestLeaderKilled(t *testing.T) {
	reinstall(t, "controller.replicas=2")
	w := newWorld(t)
	w.make("blocklist", contents{1: 10})
	w.awaitReady("blocklist", 3)

	old := leader(t)
	pod := &corev1.Pod{}
	name, _, _ := strings.Cut(old, "_")
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: system, Name: name}, pod); err != nil {
		t.Fatal(err)
	}
	pids := component("controller", "/pod"+string(pod.UID)+"/")
	if len(pids) != 1 {
		t.Fatalf("pod %s has the controller processes %v, want one", name, pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	w.edit(declare(contents{1: 11, 2: 20}))
	w.awaitEverywhere("blocklist", contents{1: 11, 2: 20})
	w.awaitReady("blocklist", 3)
	t.Logf("an edit was Ready everywhere %.1f s after the leader was killed", time.Since(start).Seconds())
	eventually(t, func() error {
		if now := leader(t); now == "" || now == old {
			return fmt.Errorf("the leader is %q, was %q", now, old)
		}
		return nil
	})
}

// leader is the identity of the leading controller: the name of its pod, "_" and a word of its own.
func leader(t *testing.T) string {
	t.Helper()
	lease := &coordinationv1.Lease{}
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: system, Name: "controller.bpfmap.io"}, lease); err != nil {
		t.Fatal(err)
	}
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}
