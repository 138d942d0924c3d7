// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/kube"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/why"
)

// operatorLabels select the operator's own objects.
var operatorLabels = client.MatchingLabels{"app.kubernetes.io/name": "bpfmap-operator"}

// maxMissing bounds an error that is told as what wasn't looked at.
const maxMissing = 300

// gather reads all that the answer to a why is made of: one list of each kind. What can't be read, for lack of rights
// above all, is missing from the answer; only without the BPFMap there is none.
func gather(ctx context.Context, c client.Reader, namespace, name, operator string) (*why.Evidence, error) {
	e := &why.Evidence{Now: time.Now()}
	var mu sync.Mutex
	missing := func(what string, err error) {
		if err != nil && ctx.Err() == nil {
			mu.Lock()
			defer mu.Unlock()
			e.Missing = append(e.Missing, what+": "+shorten(err))
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		e.Map, err = kube.GetMap(ctx, c, namespace, name)
		return err
	})
	g.Go(func() (err error) {
		e.Revisions, err = kube.ListRevisions(ctx, c, namespace, name)
		missing("revisions", err)
		return nil
	})
	g.Go(func() (err error) {
		e.States, err = kube.ListNodeStates(ctx, c)
		missing("states of nodes", err)
		return nil
	})
	g.Go(func() error {
		var nodes corev1.NodeList
		err := c.List(ctx, &nodes)
		missing("nodes", kube.Request{Verb: "list", Resource: "nodes"}.Error(err))
		if err == nil {
			e.Nodes = present(nodes.Items)
		}
		return nil
	})
	g.Go(func() error {
		var sets appsv1.DaemonSetList
		err := c.List(ctx, &sets, operatorLabels, client.InNamespace(operator))
		missing("DaemonSets of agents", kube.Request{Verb: "list", Resource: "daemonsets", Group: "apps", Namespace: operator}.Error(err))
		if err == nil {
			e.Agents = present(sets.Items)
		}
		return nil
	})
	g.Go(func() error {
		var pods corev1.PodList
		err := c.List(ctx, &pods, operatorLabels, client.InNamespace(operator))
		missing("pods of the operator", kube.Request{Verb: "list", Resource: "pods", Namespace: operator}.Error(err))
		if err == nil {
			e.Pods = present(pods.Items)
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return e, nil
}

// present is a list that was read: not nil.
func present[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

// shorten is an error in a line of bounded length.
func shorten(err error) string {
	s := err.Error()
	if len(s) > maxMissing {
		s = s[:maxMissing] + "…"
	}
	return s
}

// latest is the newest revision of those of a BPFMap, without those of an earlier one of its name; nil if there is none.
func latest(m *v1alpha1.BPFMap, revisions []v1alpha1.BPFMapRevision) *v1alpha1.BPFMapRevision {
	for i := range revisions {
		if revisions[i].Spec.MapUID == string(m.UID) {
			return &revisions[i]
		}
	}
	return nil
}

// find is a revision by its name or its number; the newest one if both are empty.
func find(m *v1alpha1.BPFMap, revisions []v1alpha1.BPFMapRevision, number int64) (*v1alpha1.BPFMapRevision, error) {
	if number == 0 {
		if rev := latest(m, revisions); rev != nil {
			return rev, nil
		}
		return nil, fmt.Errorf("BPFMap %s/%s has no revision yet", m.Namespace, m.Name)
	}
	var numbers []int64
	for i := range revisions {
		if r := &revisions[i]; r.Spec.MapUID == string(m.UID) {
			if r.Number() == number {
				return r, nil
			}
			numbers = append(numbers, r.Number())
		}
	}
	return nil, fmt.Errorf("BPFMap %s/%s has no revision %d: there are %v", m.Namespace, m.Name, number, numbers)
}
