// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// TestDoomed: maps of a cluster, of other namespaces and those that are declared are never pruned.
func TestDoomed(t *testing.T) {
	key := func(namespace, name string) revision.Key { return revision.Key{Namespace: namespace, Name: name} }
	records := []engine.Record{
		{Key: key("edge", "gone")}, {Key: key("edge", "declared")}, {Key: key("edge", "of-a-cluster"), UID: "uid"}, {Key: key("core", "other")},
	}
	maps := []declared{{rev: &revision.Revision{Key: key("edge", "declared")}}}
	for scope, want := range map[string][]revision.Key{
		"edge":      {key("edge", "gone")},
		"*":         {key("edge", "gone"), key("core", "other")},
		"elsewhere": nil,
	} {
		f := pruneFlags{namespaces: []string{scope}}
		if diff := cmp.Diff(want, f.doomed(records, maps)); diff != "" {
			t.Errorf("--prune-namespace %s (-want +got)\n%s", scope, diff)
		}
	}
}
