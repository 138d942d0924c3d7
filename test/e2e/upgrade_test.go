// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/test/docs"
)

// earlier is the commit that the upgrade starts from: before revisions had a status, and before chunks.
const earlier = "0fe8cbd"

// loadRelease builds an earlier commit. A shallow clone can't have it.
func loadRelease(t *testing.T, commit string) {
	t.Helper()
	shallow, err := output(t.Context(), "git", "rev-parse", "--is-shallow-repository")
	if err == nil && strings.TrimSpace(shallow) == "true" && quiet(t.Context(), "git", "cat-file", "-e", commit+"^{commit}") != nil {
		t.Skipf("commit %s isn't in this shallow clone: git fetch --unshallow", commit)
	}
	ctl(t, "load-release", commit)
}

// TestUpgrade installs an earlier chart and image, and upgrades both under maps that are in use.
func TestUpgrade(t *testing.T) {
	loadRelease(t, earlier)
	t.Cleanup(func() {
		if err := install(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := quiet(t.Context(), "helm", "upgrade", "bpfmap", filepath.Join(clusterDir, "release-"+earlier, "charts/bpfmap-operator"),
		"--namespace", system, "--reset-values", "--set", "image.tag="+earlier, "--wait", "--timeout", "2m"); err != nil {
		t.Fatal(err)
	}
	if err := rolledOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.make("blocklist", contents{1: 10, 2: 20})
	w.awaitEverywhere("blocklist", contents{1: 10, 2: 20})
	w.edit(declare(contents{1: 10, 2: 21}))
	w.awaitEverywhere("blocklist", contents{1: 10, 2: 21})
	nodes[1].set(t, w.namespace, 99, 990)
	before := ids(t, w.namespace, "blocklist")
	stop := w.readAlong(contents{1: 10})

	// The values that are kept hold the tag of the earlier image, which a user's don't.
	const keeps = " --reset-then-reuse-values"
	shown := docs.ShownBy(t, "docs/upgrade.md").Next().Text
	if strings.Count(shown, keeps) != 1 {
		t.Fatalf("docs/upgrade.md doesn't upgrade by one command with%s:\n%s", keeps, shown)
	}
	shell(t, strings.Replace(shown, keeps, keeps+" --set image.tag=", 1))
	if err := rolledOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.awaitReady("blocklist", 3)
	w.edit(declare(contents{1: 10, 3: 30}))
	nodes[0].awaitContents(t, w.namespace, "blocklist", contents{1: 10, 3: 30})
	nodes[1].awaitContents(t, w.namespace, "blocklist", contents{1: 10, 3: 30, 99: 990})
	nodes[2].awaitContents(t, w.namespace, "blocklist", contents{1: 10, 3: 30})
	w.awaitReady("blocklist", 3)
	stop()
	if after := ids(t, w.namespace, "blocklist"); !maps.Equal(after, before) {
		t.Errorf("map ids are %v, were %v", after, before)
	}
	eventually(t, func() error {
		m, err := w.get("blocklist")
		if err == nil && (m.Status.Rollout == nil || m.Status.Rollout.Phase != "Complete") {
			err = fmt.Errorf("rollout %+v: the new controller didn't take over", m.Status.Rollout)
		}
		return err
	})
}

// TestOlderCRDs leaves the controller with CRDs of an earlier release, as an upgrade with crds.install=false
// would: it says so and does nothing, since the API server would drop what they lack.
func TestOlderCRDs(t *testing.T) {
	loadRelease(t, earlier)
	w := newWorld(t)
	w.make("blocklist", contents{1: 10})
	w.awaitReady("blocklist", 3)
	before := ids(t, w.namespace, "blocklist")
	t.Cleanup(func() {
		if err := install(context.Background()); err != nil {
			t.Error(err)
		}
	})
	mixed := filepath.Join(t.TempDir(), "bpfmap-operator")
	if err := os.CopyFS(mixed, os.DirFS(filepath.Join(root, "charts/bpfmap-operator"))); err != nil {
		t.Fatal(err)
	}
	crds := filepath.Join(mixed, "files/crds")
	if err := os.RemoveAll(crds); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(crds, os.DirFS(filepath.Join(clusterDir, "release-"+earlier, "charts/bpfmap-operator/files/crds"))); err != nil {
		t.Fatal(err)
	}
	if err := quiet(t.Context(), "helm", "upgrade", "bpfmap", mixed, "--namespace", system, "--reset-values"); err != nil {
		t.Fatal(err)
	}
	// The controller that runs notices within a minute, the next one before it is ready.
	kubectl(t, "rollout", "restart", "deployment/bpfmap-bpfmap-operator-controller", "--namespace", system)
	w.awaitEvent("CRDsOutdated")
	text := kubectl(t, "get", "events", "--namespace", w.namespace, "-o", `jsonpath={.items[?(@.reason=="CRDsOutdated")].message}`)
	for _, word := range []string{"bpfmaprevisions.bpfmap.io lacks", "spec.number", "upgrade them"} {
		if !strings.Contains(text, word) {
			t.Errorf("the event %q doesn't say %q", text, word)
		}
	}
	w.edit(declare(contents{1: 11}))
	eventually(t, func() error {
		pods := kubectl(t, "get", "pods", "--namespace", system, "--selector", "app.kubernetes.io/component=controller", "-o", "jsonpath={.items[*].status.containerStatuses[*].ready}")
		if strings.Contains(pods, "true") {
			return fmt.Errorf("a controller is ready: %s", pods)
		}
		return nil
	})
	w.awaitEverywhere("blocklist", contents{1: 10})

	if err := install(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A watch that began with the older CRDs may go on as they were for up to 10 minutes: see
	// docs/operations.md.
	kubectl(t, "rollout", "restart", "daemonset,deployment", "--namespace", system)
	if err := rolledOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.awaitEverywhere("blocklist", contents{1: 11})
	w.awaitStatus(before)
}

// TestDrain drains a node, which takes no map away, and lets it work again.
func TestDrain(t *testing.T) {
	w := newWorld(t)
	w.make("blocklist", contents{1: 10})
	w.awaitReady("blocklist", 3)
	before := ids(t, w.namespace, "blocklist")
	t.Cleanup(func() { _ = quiet(context.Background(), "kubectl", "uncordon", "node-2") })
	kubectl(t, "drain", "node-2", "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=60s")
	w.edit(declare(contents{1: 11}))
	w.awaitEverywhere("blocklist", contents{1: 11})
	kubectl(t, "uncordon", "node-2")
	w.awaitReady("blocklist", 3)
	if after := ids(t, w.namespace, "blocklist"); !maps.Equal(after, before) {
		t.Errorf("map ids are %v, were %v", after, before)
	}
}

// TestInstallAsShown installs the chart by the words of its README, of README.md and of docs/operations.md: first the
// namespace, then the chart and the samples.
func TestInstallAsShown(t *testing.T) {
	t.Cleanup(func() {
		ctx := context.Background()
		if err := quiet(ctx, "kubectl", "delete", "-k", "config/samples", "--ignore-not-found", "--timeout", "1m"); err != nil {
			t.Error(err)
		}
		if err := install(ctx); err != nil {
			t.Error(err)
		}
	})
	if err := quiet(t.Context(), "helm", "uninstall", "bpfmap", "--namespace", system, "--wait", "--timeout", "1m"); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "delete", "namespace", system, "--timeout=1m")
	chart, readme := docs.ShownBy(t, "charts/bpfmap-operator/README.md"), docs.ShownBy(t, "README.md").Next()
	shell(t, chart.Next().Text)
	shell(t, readme.Text)
	for _, same := range []docs.Block{chart.Next(), docs.ShownBy(t, "docs/operations.md").Next()} {
		if !strings.HasPrefix(readme.Text, same.Text) {
			t.Errorf("%s installs the chart by %q, README.md by %q", same, same.Text, readme.Text)
		}
	}
	if err := rolledOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "wait", "--for=condition=Ready", "bpfmap/blocklist", "--namespace", "edge", "--timeout=2m")
}

// TestPurge removes everything as docs/operations.md says: maps, release and CRDs.
func TestPurge(t *testing.T) {
	w := newWorld(t)
	w.make("blocklist", contents{1: 10})
	w.awaitReady("blocklist", 3)
	t.Cleanup(func() {
		if err := install(context.Background()); err != nil {
			t.Error(err)
		}
	})
	shell(t, docs.ShownBy(t, "docs/operations.md").Next().Text)
	for _, n := range nodes {
		n.awaitNoPin(t, w.namespace, "blocklist")
		// Only the index of owners stays, and it is empty.
		index := n.path(t, "sys/fs/bpf/bpfmap/_state/_owners")
		left, err := filepath.Glob(n.path(t, "sys/fs/bpf/bpfmap/*/*"))
		if err != nil || slices.ContainsFunc(left, func(path string) bool { return path != index }) {
			t.Errorf("%s has still %v (%v)", n.name, left, err)
		}
		if claims, err := filepath.Glob(filepath.Join(index, "*")); err != nil || len(claims) > 0 {
			t.Errorf("%s has still %v (%v)", n.name, claims, err)
		}
	}
}
