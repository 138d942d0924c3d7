// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// What the API server doesn't have any more may be there again in a moment: a BPFMap that is restored or
// replaced, a revision that somebody deleted and the controller writes again. A map is removed, and goes back
// behind a revision that vanished, after patience at the earliest; the rest, by lot, keeps thousands of
// nodes from asking at once.
const (
	patience      = 2 * time.Second
	patienceByLot = 3 * time.Second
)

// choice is what a node is to do about a map, as one reader sees it.
type choice struct {
	// wanted is the revision to hold, nil for none.
	wanted *v1alpha1.BPFMapRevision
	// undecided says that nothing is to be done yet.
	undecided bool
	// shown says that there are revisions of the map, whether or not they are for this node.
	shown bool
	// removal says for people why the node is to have no map.
	removal string
}

// choose decides from some revisions of a map, the labels of the own Node, what the node holds, and the releases
// in its BPFNodeState.
func choose(revisions []v1alpha1.BPFMapRevision, node string, set labels.Set, h holding, releases []v1alpha1.MapRelease) choice {
	held := ""
	for i := range revisions { // one of an earlier BPFMap of that name is another one
		if r := &revisions[i]; h.present && r.Name == h.revision && r.Spec.MapUID == h.uid {
			held = r.Name
		}
	}
	p := pick(revisions, node, set, held, releases)
	return choice{shown: len(revisions) > 0, wanted: p.wanted, undecided: p.undecided, removal: p.removal}
}

// clockSkew is how far the API server's clock and the node's may be apart.
const clockSkew = time.Minute

// tenure is what believable has to know of this agent.
type tenure struct {
	// began is when this process did.
	began time.Time
	// again says that an agent before it published something in this boot.
	again bool
}

// believable says whether a choice from the cache may be followed as it is: it leads forward from what the node
// holds. A map that has to go, another BPFMap, and an older revision are what a cache shows that is behind,
// and what can't be undone. So does the first choice of a process about a map, where that is older than the
// process.
func (h *holding) believable(c choice, t tenure) bool {
	switch {
	case c.undecided:
		return true
	case c.wanted == nil:
		return !h.present
	case h.uid != "" && h.uid != c.wanted.Spec.MapUID:
		return false
	case h.uid != "" && c.wanted.Number() <= h.number:
		return c.wanted.Number() == h.number && h.present
	case h.uid == "" && !t.again && !h.again:
		return true // there is nothing here that could be lost
	}
	return !h.unsure || c.wanted.CreationTimestamp.After(t.began.Add(clockSkew))
}

// verdict is what to do about a choice that the API server confirmed.
type verdict int

const (
	// follow the choice.
	follow verdict = iota
	// keep what there is: only a rollback that is said leads back.
	keep
	// hesitate, and ask again: what there was has vanished.
	hesitate
)

// judge is what to do about a choice that was read from the API server, given the revision that the node holds
// as it is there, nil if it is gone.
func (h *holding) judge(c choice, now *v1alpha1.BPFMapRevision) verdict {
	switch {
	case c.undecided:
		return keep
	case !h.present:
		return follow
	case c.wanted == nil && !c.shown:
		return hesitate
	case c.wanted == nil || c.wanted.Spec.MapUID != h.uid || c.wanted.Number() >= h.number:
		return follow
	case now == nil:
		return hesitate
	case now.Status.Rollout.RolledBack != "":
		return follow
	}
	return keep
}

// asker reads from the API server what a choice depends on.
type asker struct {
	reader client.Reader
	node   string
}

// ask reads the active revisions of a map and the labels of the own Node. now is the revision that the node
// holds, nil if it is gone.
func (a *asker) ask(ctx context.Context, key revision.Key, h holding, cached *v1alpha1.BPFMapRevision) (c choice, now *v1alpha1.BPFMapRevision, err error) {
	var list v1alpha1.BPFMapRevisionList
	err = a.reader.List(ctx, &list, client.InNamespace(key.Namespace),
		client.MatchingLabels{v1alpha1.LabelActive: "true", v1alpha1.LabelMap: v1alpha1.MapLabel(key.Name)})
	if err != nil && !process.IsNamespaceAbsent(err) { // in a namespace that doesn't exist there are none
		return choice{}, nil, fmt.Errorf("list revisions of %s from the API server: %w", key, err)
	}
	revisions := slices.DeleteFunc(list.Items, func(r v1alpha1.BPFMapRevision) bool { return r.Spec.MapName != key.Name })
	// Revisions of older controllers don't carry the label.
	names := []string{h.revision}
	if cached != nil {
		names = append(names, cached.Name)
	}
	for _, name := range names {
		rev, err := a.revision(ctx, key, name, revisions)
		switch {
		case err != nil:
			return choice{}, nil, err
		case rev == nil:
			continue
		case rev.Name == h.revision && rev.Spec.MapUID == h.uid:
			now = rev
		}
		listed := slices.ContainsFunc(revisions, func(r v1alpha1.BPFMapRevision) bool { return r.Name == rev.Name })
		if !listed && rev.Labels[v1alpha1.LabelActive] == "true" {
			revisions = append(revisions, *rev)
		}
	}
	c, err = chooseBy(ctx, a.reader, revisions, a.node, h)
	return c, now, err
}

// chooseBy decides from some revisions of a map and what a reader shows of the node, if the revisions depend on it.
func chooseBy(ctx context.Context, reader client.Reader, revisions []v1alpha1.BPFMapRevision, name string, h holding) (choice, error) {
	node, state := process.Node(), &v1alpha1.BPFNodeState{}
	if slices.ContainsFunc(revisions, func(r v1alpha1.BPFMapRevision) bool { return len(r.Spec.NodeSelector) > 0 }) {
		if err := reader.Get(ctx, client.ObjectKey{Name: name}, node); err != nil {
			return choice{}, fmt.Errorf("get own node: %w", err) // its labels decide: nothing is removed without them
		}
		if err := reader.Get(ctx, client.ObjectKey{Name: name}, state); client.IgnoreNotFound(err) != nil {
			return choice{}, fmt.Errorf("get own node state: %w", err)
		}
	}
	return choose(revisions, name, node.GetLabels(), h, state.Status.Releases), nil
}

// revision is one that was listed, or is read by its name; nil if there is none of this map.
func (a *asker) revision(ctx context.Context, key revision.Key, name string, listed []v1alpha1.BPFMapRevision) (*v1alpha1.BPFMapRevision, error) {
	if name == "" {
		return nil, nil
	}
	if i := slices.IndexFunc(listed, func(r v1alpha1.BPFMapRevision) bool { return r.Name == name }); i >= 0 {
		return &listed[i], nil
	}
	rev := &v1alpha1.BPFMapRevision{}
	err := a.reader.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: name}, rev)
	switch {
	case apierrors.IsNotFound(err) || (err == nil && rev.Spec.MapName != key.Name):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read revision %s from the API server: %w", name, err)
	}
	return rev, nil
}
