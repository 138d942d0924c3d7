// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"slices"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin"
)

// TestArgs: the program is the plugin by its own name alone.
func TestArgs(t *testing.T) {
	for _, test := range []struct {
		name   string
		plugin []string
		ok     bool
	}{
		{"kubectl-bpfmap", []string{"status"}, true},
		{"/usr/local/bin/kubectl-bpfmap", []string{"status"}, true},
		{`C:\krew\bin\kubectl-bpfmap.exe`, []string{"status"}, true},
		{"kubectl_complete-bpfmap", []string{"__complete", "status"}, true},
		{"bpfmap", nil, false},
		{"/opt/kubectl-bpfmap/bpfmap", nil, false},
		{"", nil, false},
	} {
		got, ok := plugin.Args(test.name, []string{"status"})
		if ok != test.ok || !slices.Equal(got, test.plugin) {
			t.Errorf("%q: %v, %t", test.name, got, ok)
		}
	}
}

// TestNamed: maps are named as kubectl and messages have them.
func TestNamed(t *testing.T) {
	w := newWorld(t, 0)
	w.declare("flags", blocklist)
	for _, name := range []string{"flags", "bpfmap/flags", "bmap/flags", w.namespace + "/flags"} {
		w.run("status", name).wants(t, 0, "BPFMap "+w.namespace+"/flags: the controller hasn't written a status yet")
	}
	w.run("status", "other/flags").wants(t, 1, "other/flags is in namespace other, and --namespace is "+w.namespace)
	w.run("status", "Flags").wants(t, 1, "not a valid name of a BPFMap")
	w.run("status", "nothing").wants(t, 1, "there is no BPFMap nothing in namespace "+w.namespace)
	w.run("why", "flags").wants(t, 0, "nothing is known yet", "The controller hasn't looked at the newest spec yet", "There is no pod of the controller")
	w.run("status", "-o", "json").wants(t, 0, `"name": "flags"`)
	w.run("status", "flags", "-o", "yaml").wants(t, 0, "name: flags")
	w.run("__complete", "status", "f").wants(t, 0, "flags\n")
	runAs(t.Context(), t, t.TempDir()+"/none", "x", "", "status").wants(t, 1, "kubeconfig")
	runAs(t.Context(), t, w.kubeconfig, "empty", "", "status").wants(t, 0, "There are no BPFMaps in namespace empty")
}
