// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// other is a namespace that isn't there from the beginning.
const other = "team-c"

// TestWatchedNamespaces runs the operator with the rights that the chart gives it with watchNamespaces, and takes a namespace
// out of the list and in again.
func TestWatchedNamespaces(t *testing.T) {
	w := newGround(t, "watchNamespaces={edge,shop}")
	w.createNamespace(other)
	w.start()
	for namespace, names := range map[string][]string{attacker: {"a"}, victim: {"kept", "deleted"}, other: {"unseen"}} {
		for _, name := range names {
			if err := w.admin.Create(t.Context(), bpfMap(namespace, name, fine)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, m := range []string{"edge/a", "shop/kept", "shop/deleted"} {
		namespace, name, _ := strings.Cut(m, "/")
		w.await(namespace, name, v1alpha1.ConditionReady, v1alpha1.ReasonReady)
	}
	w.isLeftAlone(other, "unseen")
	kept, deleted := w.pinned(victim, "kept"), w.pinned(victim, "deleted")

	// Out of the list, the map that is changed and the one that is deleted stay as they are, and both say why.
	w.refusedNothing()
	w.rewatch("edge")
	if err := w.admin.Delete(t.Context(), bpfMap(victim, "deleted", fine)); err != nil {
		t.Fatal(err)
	}
	w.deleteRevisions(victim, "deleted")
	w.change(victim, "kept", 20)
	w.start()
	for _, name := range []string{"kept", "deleted"} {
		w.awaitNotWatched(victim, name)
	}
	w.change(attacker, "a", 20) // the rest goes on
	w.await(attacker, "a", v1alpha1.ConditionReady, v1alpha1.ReasonReady)
	if now := w.pinned(victim, "kept"); now != kept || w.pinned(victim, "deleted") != deleted {
		t.Errorf("shop/kept was %+v and is %+v", kept, now)
	}

	// In it again, the operator goes on with the same map, and what was deleted meanwhile goes.
	w.refusedNothing()
	w.rewatch("edge", "shop")
	w.start()
	w.await(victim, "kept", v1alpha1.ConditionReady, v1alpha1.ReasonReady)
	if now := w.pinned(victim, "kept"); now.ID != kept.ID || now.Contents == kept.Contents {
		t.Errorf("shop/kept was %+v and is %+v, want the same map with the new value", kept, now)
	}
	w.awaitNoPin(victim, "deleted")
	w.isLeftAlone(other, "unseen")
	w.refusedNothing()
}

// TestWatchedNamespaceThatIsMissing: a listed namespace that doesn't exist keeps nobody from working, its maps are managed as
// soon as it does, and go with it.
func TestWatchedNamespaceThatIsMissing(t *testing.T) {
	w := newGround(t, "watchNamespaces={edge}")
	w.rewatch("edge", other)
	w.start()
	if err := w.admin.Create(t.Context(), bpfMap(attacker, "a", fine)); err != nil {
		t.Fatal(err)
	}
	w.await(attacker, "a", v1alpha1.ConditionReady, v1alpha1.ReasonReady)

	w.createNamespace(other)
	w.apply()
	if err := w.admin.Create(t.Context(), bpfMap(other, "late", fine)); err != nil {
		t.Fatal(err)
	}
	w.await(other, "late", v1alpha1.ConditionReady, v1alpha1.ReasonReady)
	w.pinned(other, "late")

	// The rights go before what they are for, as the namespace's controller may do it. While the namespace is there, that the
	// operator may not look says nothing.
	w.unbind(other)
	if err := w.admin.Delete(t.Context(), bpfMap(other, "late", fine)); err != nil {
		t.Fatal(err)
	}
	w.deleteRevisions(other, "late")
	w.awaitLog(w.agent, "is forbidden")
	w.pinned(other, "late")
	w.deleteNamespace(other)
	w.awaitNoPin(other, "late")
}

// start runs controller and agent with the flags of the chart as it is now, in place of those that run.
func (w *world) start() {
	w.t.Helper()
	for _, cmd := range []*exec.Cmd{w.controller, w.agent} {
		if cmd != nil {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_, _ = cmd.Process.Wait()
		}
	}
	w.controller = w.launch("controller", w.account(system, "bpfmap-operator-controller", nil))
	w.startAgent()
}

// rewatch renders the chart for other namespaces and brings the cluster to it, as helm upgrade does: bindings that it doesn't have any more go.
func (w *world) rewatch(namespaces ...string) {
	w.t.Helper()
	w.chart = helmTemplate(w.t, "watchNamespaces={"+strings.Join(namespaces, ",")+"}")
	w.unbind(attacker, victim, other)
	w.apply()
}

// apply brings the chart's objects to the cluster, those alone that are in a namespace that exists.
func (w *world) apply() {
	w.t.Helper()
	documents := strings.Split(w.chart, "\n---\n")
	var present []string
	for _, document := range documents {
		in := regexp.MustCompile(`(?m)^  namespace: "?([a-z-]+)"?$`).FindStringSubmatch(document)
		if in != nil && apierrors.IsNotFound(w.admin.Get(w.t.Context(), client.ObjectKey{Name: in[1]}, &corev1.Namespace{})) {
			continue
		}
		present = append(present, document)
	}
	if err := w.plane.Apply(w.t.Context(), written(w.t, strings.Join(present, "\n---\n"))); err != nil {
		w.t.Fatal(err)
	}
}

// unbind deletes the operator's bindings in namespaces.
func (w *world) unbind(namespaces ...string) {
	w.t.Helper()
	kube, err := kubernetes.NewForConfig(w.plane.Config())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, namespace := range namespaces {
		bindings := kube.RbacV1().RoleBindings(namespace)
		list, err := bindings.List(w.t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/part-of=bpfmap-operator"})
		if err != nil {
			w.t.Fatal(err)
		}
		for i := range list.Items {
			if err := bindings.Delete(w.t.Context(), list.Items[i].Name, metav1.DeleteOptions{}); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

func (w *world) createNamespace(name string) {
	w.t.Helper()
	if err := w.admin.Create(w.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
		w.t.Fatal(err)
	}
}

// deleteNamespace deletes an empty namespace, and does what the namespace controller does, which isn't here.
func (w *world) deleteNamespace(name string) {
	w.t.Helper()
	kube, err := kubernetes.NewForConfig(w.plane.Config())
	if err != nil {
		w.t.Fatal(err)
	}
	if err := kube.CoreV1().Namespaces().Delete(w.t.Context(), name, metav1.DeleteOptions{}); err != nil {
		w.t.Fatal(err)
	}
	ns, err := kube.CoreV1().Namespaces().Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	ns.Spec.Finalizers = nil
	if _, err := kube.CoreV1().Namespaces().Finalize(w.t.Context(), ns, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// deleteRevisions does what the garbage collector does after a BPFMap is gone, which isn't here.
func (w *world) deleteRevisions(namespace, name string) {
	w.t.Helper()
	err := w.admin.DeleteAllOf(w.t.Context(), &v1alpha1.BPFMapRevision{}, client.InNamespace(namespace), client.MatchingLabels{v1alpha1.LabelMap: v1alpha1.MapLabel(name)})
	if err != nil {
		w.t.Fatal(err)
	}
}

// change sets the value of the one entry of a BPFMap of the spec fine.
func (w *world) change(namespace, name string, value int) {
	w.t.Helper()
	patch := fmt.Sprintf(`{"spec":{"entries":[{"key":1,"value":%d}]}}`, value)
	if err := w.admin.Patch(w.t.Context(), bpfMap(namespace, name, fine), client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		w.t.Fatal(err)
	}
}

// held is what the node has of a map.
type held struct {
	ID       int `json:"id"`
	Contents string
}

func (w *world) pinned(namespace, name string) held {
	w.t.Helper()
	pin := "--pin=" + filepath.Join(w.bpffs, "bpfmap", namespace, name)
	var h held
	for _, args := range [][]string{{"map", "info", pin, "-o", "json"}, {"dump", pin}} {
		out, err := exec.Command(bpfmapPath, args...).CombinedOutput()
		if err != nil {
			w.t.Fatalf("bpfmap %v: %v\n%s", args, err, out)
		}
		if h.Contents = string(out); args[0] != "dump" {
			if err := json.Unmarshal(out, &h); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	if h.ID == 0 {
		w.t.Fatalf("the map of %s/%s has no id", namespace, name)
	}
	return h
}

// isLeftAlone fails if anything was done about a BPFMap.
func (w *world) isLeftAlone(namespace, name string) {
	w.t.Helper()
	m := &v1alpha1.BPFMap{}
	if err := w.admin.Get(w.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, m); err != nil {
		w.t.Fatal(err)
	}
	if len(m.Status.Conditions) > 0 || len(m.Finalizers) > 0 {
		w.t.Errorf("%s/%s, whose namespace isn't watched, has finalizers %v and the status %+v", namespace, name, m.Finalizers, m.Status)
	}
	if _, err := os.Stat(filepath.Join(w.bpffs, "bpfmap", namespace)); !os.IsNotExist(err) {
		w.t.Errorf("the node has maps of %s: %v", namespace, err)
	}
}

// awaitNotWatched waits until the node says of a map that it is left as it is.
func (w *world) awaitNotWatched(namespace, name string) {
	w.t.Helper()
	await.Nil(w.t, limit, func() error {
		state := &v1alpha1.BPFNodeState{}
		if err := w.admin.Get(w.t.Context(), client.ObjectKey{Name: node}, state); err != nil {
			return err
		}
		for _, m := range state.Status.Maps {
			if m.Namespace == namespace && m.Name == name {
				if m.State != v1alpha1.NodeMapStalled || m.Reason != v1alpha1.NodeReasonNotWatched || m.MapID == 0 || !strings.Contains(m.Message, "watchNamespaces") {
					return fmt.Errorf("the node says %+v", m)
				}
				return nil
			}
		}
		return errors.New("the node doesn't say anything of the map")
	})
}

func (w *world) awaitNoPin(namespace, name string) {
	w.t.Helper()
	await.Nil(w.t, limit, func() error {
		_, err := os.Stat(filepath.Join(w.bpffs, "bpfmap", namespace, name))
		if err == nil {
			return fmt.Errorf("the map of %s/%s is still there", namespace, name)
		}
		if !os.IsNotExist(err) {
			return err
		}
		return nil
	})
}

// awaitLog waits until a process has said something.
func (w *world) awaitLog(cmd *exec.Cmd, text string) {
	w.t.Helper()
	await.Nil(w.t, limit, func() error {
		said, err := os.ReadFile(cmd.Stderr.(*os.File).Name())
		if err == nil && !strings.Contains(string(said), text) {
			err = fmt.Errorf("the log doesn't say %q", text)
		}
		return err
	})
}

// refusedNothing fails if the API server ever refused (403) what somebody asked of all namespaces at once, or the logs tell of
// anything refused.
func (w *world) refusedNothing() {
	w.t.Helper()
	kube, err := kubernetes.NewForConfig(w.plane.Config())
	if err != nil {
		w.t.Fatal(err)
	}
	metrics, err := kube.RESTClient().Get().AbsPath("/metrics").DoRaw(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	counted := false
	for lines := bufio.NewScanner(bytes.NewReader(metrics)); lines.Scan(); {
		line := lines.Text()
		if !strings.HasPrefix(line, "apiserver_request_total{") {
			continue
		}
		counted = true
		if strings.Contains(line, `code="403"`) && strings.Contains(line, `scope="cluster"`) {
			w.t.Errorf("refused: %s", line)
		}
	}
	if !counted {
		w.t.Error("the API server doesn't count requests")
	}
	for _, cmd := range []*exec.Cmd{w.controller, w.agent} {
		if said, err := os.ReadFile(cmd.Stderr.(*os.File).Name()); err != nil || strings.Contains(string(said), "forbidden") {
			w.t.Errorf("the log tells of something refused (%v):\n%s", err, said)
		}
	}
}
