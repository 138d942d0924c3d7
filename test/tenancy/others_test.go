// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// TestLocalUser is an unprivileged user of a node whose BPF file system everybody may write to.
func TestLocalUser(t *testing.T) {
	w := newWorld(t)
	// Squats the agents' directory before the first agent starts.
	squat := filepath.Join(w.bpffs, "bpfmap")
	if err := asNobody(t, "mkdir", squat).Wait(); err != nil {
		t.Fatal(err)
	}
	w.startAgent()
	await.Nil(t, limit, func() error {
		state := &v1alpha1.BPFNodeState{}
		if err := w.admin.Get(t.Context(), client.ObjectKey{Name: node}, state); err != nil {
			return err
		}
		c := meta.FindStatusCondition(state.Status.Conditions, v1alpha1.ConditionReady)
		if c == nil || c.Status == metav1.ConditionTrue || !strings.Contains(c.Message, "65534") {
			return fmt.Errorf("the node says %+v, and not whose the directory is", c)
		}
		t.Logf("the node says %s: %s", c.Reason, c.Message)
		return nil
	})
	if err := os.Remove(squat); err != nil { // as root does then
		t.Fatal(err)
	}
	w.victimIsServed("after-squatting")

	// Locks all that it may open, for ever.
	for _, path := range []string{w.bpffs, squat, filepath.Join(squat, victim), filepath.Join(squat, "_state")} {
		asNobody(t, "flock", path, "sleep", "infinity")
	}
	await.Nil(t, limit, func() error {
		if err := exec.Command("flock", "--nonblock", w.bpffs, "true").Run(); err == nil {
			return errors.New("nobody has locked the BPF file system")
		}
		return nil
	})
	w.victimIsServed("beside-locks")
	if err := w.admin.Delete(t.Context(), bpfMap(victim, "beside-locks", fine)); err != nil {
		t.Fatal(err)
	}
	await.Nil(t, limit, func() error {
		_, err := os.Stat(filepath.Join(squat, victim, "beside-locks"))
		if err == nil {
			return errors.New("a deleted map is still there")
		}
		if !os.IsNotExist(err) {
			return err
		}
		return nil
	})
}

// TestRevisionWriter is who may write revisions of a namespace, which nobody but the controller needs to.
func TestRevisionWriter(t *testing.T) {
	w := newWorld(t)
	w.startAgent()
	w.victimIsServed("before")
	other := bpfMap(attacker, "other", fine)
	if err := w.tenant.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	w.await(attacker, "other", v1alpha1.ConditionReady, v1alpha1.ReasonReady)
	// A revision of another BPFMap, by the name that the first one of this BPFMap will have.
	squat := &v1alpha1.BPFMapRevision{}
	if err := w.admin.Get(t.Context(), client.ObjectKey{Namespace: attacker, Name: "other-1"}, squat); err != nil {
		t.Fatal(err)
	}
	squat.ObjectMeta = metav1.ObjectMeta{Namespace: attacker, Name: "mine-1", OwnerReferences: squat.OwnerReferences}
	if err := w.admin.Create(t.Context(), squat); err != nil {
		t.Fatal(err)
	}
	if err := w.tenant.Create(t.Context(), bpfMap(attacker, "mine", fine)); err != nil {
		t.Fatal(err)
	}
	if message := w.await(attacker, "mine", v1alpha1.ConditionAccepted, v1alpha1.ReasonNameConflict); !strings.Contains(message, "mine-1") {
		t.Errorf("the revision isn't named: %s", message)
	}
	w.victimIsServed("after")
}

// TestRights: what a tenant and an agent may not do at all. That of the components is tested right for right in test/rbac.
func TestRights(t *testing.T) {
	w := newWorld(t)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: attacker, Name: "s"}}
	if err := w.admin.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	for _, namespace := range []string{attacker, victim} { // those of the own namespace are what kubectl describe shows
		err := w.tenant.List(t.Context(), &corev1.EventList{}, client.InNamespace(namespace))
		if apierrors.IsForbidden(err) != (namespace == victim) || namespace == attacker && err != nil {
			t.Errorf("events of %s: %v", namespace, err)
		}
	}
	for name, err := range map[string]error{
		"a BPFMap of another namespace": w.tenant.Create(t.Context(), bpfMap(victim, "x", fine)),
		"the maps of all namespaces":    w.tenant.List(t.Context(), &v1alpha1.BPFMapList{}),
		"revisions":                     w.tenant.List(t.Context(), &v1alpha1.BPFMapRevisionList{}, client.InNamespace(attacker)),
		"a revision":                    w.tenant.Create(t.Context(), &v1alpha1.BPFMapRevision{ObjectMeta: metav1.ObjectMeta{Namespace: attacker, Name: "x-1"}}),
		"states of nodes":               w.tenant.List(t.Context(), &v1alpha1.BPFNodeStateList{}),
		"a Secret":                      w.tenant.Get(t.Context(), client.ObjectKeyFromObject(secret), secret),
	} {
		if !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v, want it forbidden", name, err)
		}
	}
}
