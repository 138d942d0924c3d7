// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/liveness"
)

// lives are the verdicts on all nodes. Only nodeStates changes them, so that the reconciles of thousands of maps
// don't judge each node again, and a change reaches all of a node's maps. It is safe for concurrent use; without
// one, Nodes alone decide.
type lives struct {
	client client.Reader // of the cache
	// daemonSet is the agents'; without a name agents aren't considered.
	daemonSet types.NamespacedName
	now       func() time.Time
	// changed is called after a verdict became another one.
	changed func(context.Context, *corev1.Node)

	mu    sync.Mutex
	known map[string]verdict
	// lost are the nodes whose last agent's pod was deleted, and since when it wasn't Ready.
	lost map[string]time.Time
	// rules are those of the DaemonSet of this UID and generation.
	rules      *liveness.Rules
	uid        types.UID
	generation int64
}

// verdict is that on the Node of a UID.
type verdict struct {
	uid types.UID
	liveness.Liveness
}

func newLives(c client.Reader, daemonSet types.NamespacedName, now func() time.Time, changed func(context.Context, *corev1.Node)) *lives {
	return &lives{
		client: c, daemonSet: daemonSet, now: now, changed: changed,
		known: map[string]verdict{}, lost: map[string]time.Time{},
	}
}

// of is the verdict on a node; a node that is new is judged.
func (l *lives) of(ctx context.Context, node *corev1.Node) (liveness.Liveness, error) {
	if l == nil {
		return liveness.Of(node, liveness.Agent{}, time.Time{}), nil
	}
	if known, ok := l.remembered(node); ok {
		return known, nil
	}
	judged, err := l.judge(ctx, node)
	if err != nil {
		return judged, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if known, ok := l.known[node.Name]; ok && known.uid == node.UID { // nodeStates was faster
		return known.Liveness, nil
	}
	l.known[node.Name] = verdict{node.UID, judged}
	return judged, nil
}

func (l *lives) remembered(node *corev1.Node) (liveness.Liveness, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, ok := l.known[node.Name]
	return known.Liveness, ok && known.uid == node.UID
}

// look judges a node again.
func (l *lives) look(ctx context.Context, node *corev1.Node) (liveness.Liveness, error) {
	judged, err := l.judge(ctx, node)
	if err != nil {
		return judged, err
	}
	l.mu.Lock()
	before, ok := l.known[node.Name]
	l.known[node.Name] = verdict{node.UID, judged}
	l.mu.Unlock()
	if ok && before.uid == node.UID && !before.Same(judged) {
		l.changed(ctx, node)
	}
	return judged, nil
}

// forget drops what is known of a node that is gone.
func (l *lives) forget(node string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.known, node)
	delete(l.lost, node)
}

func (l *lives) judge(ctx context.Context, node *corev1.Node) (liveness.Liveness, error) {
	agent, err := l.agent(ctx, node.Name)
	if err != nil {
		return liveness.Liveness{}, err
	}
	return liveness.Of(node, agent, l.now()), nil
}

// agent is what the cache shows of a node's agent.
func (l *lives) agent(ctx context.Context, node string) (agent liveness.Agent, err error) {
	if l.daemonSet.Name == "" {
		return agent, nil
	}
	if agent.Rules, err = l.currentRules(ctx); err != nil {
		return agent, err
	}
	var pods corev1.PodList
	err = l.client.List(ctx, &pods, client.InNamespace(l.daemonSet.Namespace), client.MatchingFields{indexAgentNode: node}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return agent, fmt.Errorf("list agents: %w", err)
	}
	ready := false
	for i := range pods.Items {
		if p := &pods.Items[i]; l.owns(p) {
			agent.Pods = append(agent.Pods, p)
			ready = ready || liveness.IsReady(p)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if ready {
		delete(l.lost, node)
	}
	agent.Lost = l.lost[node]
	return agent, nil
}

// lose notes that a pod is gone. If others went before it and none was Ready since, the agent is gone since the
// first of them.
func (l *lives) lose(pod *corev1.Pod) {
	node := pod.Spec.NodeName
	if node == "" || !l.owns(pod) {
		return
	}
	since := l.now()
	if !liveness.IsReady(pod) {
		since = liveness.NotReadySince(pod)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.lost[node]; !ok {
		l.lost[node] = since
	}
}

// owns says whether a pod is one of the agents'.
func (l *lives) owns(pod *corev1.Pod) bool {
	if pod.Labels[v1alpha1.LabelAgent] == "true" {
		return true
	}
	for _, o := range pod.OwnerReferences {
		if o.Controller != nil && *o.Controller {
			return o.Kind == "DaemonSet" && o.Name == l.daemonSet.Name
		}
	}
	return false
}

// currentRules are those of the DaemonSet as the cache shows it, parsed once for each of its generations.
func (l *lives) currentRules(ctx context.Context) (*liveness.Rules, error) {
	d := &appsv1.DaemonSet{}
	err := l.client.Get(ctx, l.daemonSet, d, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return liveness.NewRules(nil), nil
	}
	if err != nil {
		return nil, fmt.Errorf("get the agents' DaemonSet: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rules == nil || l.uid != d.UID || l.generation != d.Generation {
		l.rules, l.uid, l.generation = liveness.NewRules(&d.Spec.Template), d.UID, d.Generation
	}
	return l.rules, nil
}
