// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/removal"
)

// TestUninstallJob has the rights of the chart's hook, and no others, do its work.
func TestUninstallJob(t *testing.T) {
	w := newWorld(t)
	var objects []string
	for _, o := range strings.Split(helmRender(t, "--show-only", "templates/uninstall.yaml"), "\n---") {
		if !strings.Contains(o, "kind: Job") {
			objects = append(objects, o)
		}
	}
	hook := filepath.Join(t.TempDir(), "hook.yaml")
	if err := os.WriteFile(hook, []byte(strings.Join(objects, "\n---")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.plane.Apply(t.Context(), hook); err != nil {
		t.Fatal(err)
	}
	admin, err := client.New(w.plane.Config(), client.Options{Scheme: process.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	ready := []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, LastTransitionTime: metav1.Now()}}
	m, s := &v1alpha1.BPFMap{}, &v1alpha1.BPFNodeState{}
	m.Namespace, m.Name, s.Name = "default", "colours", "node-b"
	for _, o := range []client.Object{m, s} {
		if err := admin.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			t.Fatal(err)
		}
	}
	m.Status.Conditions, s.Status.Conditions = ready, ready
	for _, o := range []client.Object{m, s} {
		if err := admin.Status().Update(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}

	c, err := client.New(w.account(t, "bpfmap-operator-uninstall", nil), client.Options{Scheme: process.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	if err := removal.Mark(t.Context(), c, nil); err != nil {
		t.Fatal(err)
	}
	for _, o := range []client.Object{m, s} {
		if err := admin.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			t.Fatal(err)
		}
	}
	for name, conditions := range map[string][]metav1.Condition{"BPFMap": m.Status.Conditions, "BPFNodeState": s.Status.Conditions} {
		if got := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); got.Status != metav1.ConditionUnknown || got.Reason != v1alpha1.ReasonOperatorRemoved {
			t.Errorf("%s says %+v", name, got)
		}
	}
	if err := c.Delete(t.Context(), m); err == nil {
		t.Error("the hook may delete BPFMaps")
	}
}
