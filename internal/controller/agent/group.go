// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// indexGroup finds the revisions of a group.
const indexGroup = "spec.group.name"

func groupNames(object client.Object) []string {
	if g := object.(*v1alpha1.BPFMapRevision).Spec.Group; g != nil {
		return []string{g.Name}
	}
	return nil
}

// groupLocks keep the maps of a group from being replaced together while one of them is worked on alone. A few groups
// may share a lock. Its zero value is ready.
type groupLocks [64]sync.RWMutex

func (l *groupLocks) of(namespace, group string) *sync.RWMutex {
	return &l[xxhash.Sum64String(namespace+"/"+group)%uint64(len(l))]
}

// syncMember brings the map of a group to its revision. If a new map is needed for that, all maps of the group that
// need one are replaced, or none.
func (r *reconciler) syncMember(ctx context.Context, e Engine, object *v1alpha1.BPFMapRevision, rev *revision.Revision) engine.Report {
	lock := r.groups.of(object.Namespace, object.Spec.Group.Name)
	lock.RLock()
	report, alone := e.SyncMember(ctx, rev)
	lock.RUnlock()
	if alone {
		r.queue.addMaps(e.Unblocked())
		return report
	}
	lock.Lock()
	defer lock.Unlock()
	start := time.Now()
	objects, members := r.members(ctx, e, object, rev)
	own := fail(engine.Report{Key: rev.Key, UID: rev.UID, Revision: rev.Name}, v1alpha1.NodeMapPending,
		v1alpha1.NodeReasonWaitsForGroup, errors.New("another map of the group was replaced meanwhile"))
	replaced := false
	for _, report := range e.SyncGroup(ctx, members) {
		replaced = replaced || report.Action == engine.ActionReplaced
		switch {
		case report.Key == rev.Key:
			own = report
		case !isInterrupted(ctx, report.Err):
			r.publish(ctx, objects[report.Key], &report, time.Since(start))
		}
	}
	// What was reserved for members that wait is free again, and would be asked for again at once.
	if replaced {
		r.queue.addMaps(e.Unblocked())
	}
	return own
}

// members are the maps of a revision's group on this node, and the objects of their revisions. Those that the revision
// was declared together with have to be there in the layouts that they had in that declaration.
func (r *reconciler) members(ctx context.Context, e Engine, object *v1alpha1.BPFMapRevision, rev *revision.Revision) (map[revision.Key]*v1alpha1.BPFMapRevision, []engine.Member) {
	objects := map[revision.Key]*v1alpha1.BPFMapRevision{rev.Key: object}
	members := []engine.Member{{Key: rev.Key, Rev: rev}}
	layouts := map[string]string{}
	for _, m := range object.Spec.Group.Members {
		layouts[m.Name] = m.Layout
	}
	names, err := r.namesInGroup(ctx, object)
	if err != nil {
		return objects, append(members, engine.Member{Key: revision.Key{Namespace: object.Namespace, Name: "…"}, Missing: err.Error()})
	}
	for name := range layouts {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		key := revision.Key{Namespace: object.Namespace, Name: name}
		if key == rev.Key {
			continue
		}
		layout, isDeclared := layouts[name]
		m, other := r.member(ctx, e, key, object, layout)
		if m.Rev == nil && m.Missing == "" && !isDeclared {
			continue // on its way out of the group, or off this node
		}
		if m.Rev == nil && m.Missing == "" {
			m.Missing = "it is not on this node"
		}
		objects[key] = other
		members = append(members, m)
	}
	return objects, members
}

// namesInGroup are the BPFMaps of which a revision is in the group of another one.
func (r *reconciler) namesInGroup(ctx context.Context, object *v1alpha1.BPFMapRevision) (map[string]bool, error) {
	var list v1alpha1.BPFMapRevisionList
	err := r.client.List(ctx, &list, client.InNamespace(object.Namespace), client.MatchingFields{indexGroup: object.Spec.Group.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list the revisions of group %s: %w", object.Spec.Group.Name, err)
	}
	names := map[string]bool{}
	for i := range list.Items {
		names[list.Items[i].Spec.MapName] = true
	}
	return names, nil
}

// member is another map of the group of a revision, which needs it in a layout, if that isn't empty. It has neither a
// revision nor anything missing if this node isn't to have the map in this group.
func (r *reconciler) member(ctx context.Context, e Engine, key revision.Key, of *v1alpha1.BPFMapRevision, layout string) (engine.Member, *v1alpha1.BPFMapRevision) {
	missing := func(format string, args ...any) (engine.Member, *v1alpha1.BPFMapRevision) {
		return engine.Member{Key: key, Missing: fmt.Sprintf(format, args...)}, nil
	}
	c, wait, err := r.decide(ctx, e, key)
	switch {
	case err != nil:
		return missing("%s", err)
	case wait > 0 || c.undecided:
		return missing("which revision this node is to hold is not known yet")
	case c.wanted == nil || c.wanted.Spec.Group == nil || c.wanted.Spec.Group.Name != of.Spec.Group.Name:
		return engine.Member{Key: key}, nil
	case layout != "" && revision.Layout(&c.wanted.Spec) != layout:
		return missing("this node is to hold revision %s, which does not belong with %s", c.wanted.Name, of.Name)
	}
	rev, err := r.loader.load(ctx, c.wanted)
	if err != nil {
		return missing("%s", err)
	}
	r.holdings.takes(key, c.wanted)
	return engine.Member{Key: key, Rev: rev}, c.wanted
}

// decide is what this node is to do about a map: a choice from the cache if it leads forward, else the one that the API
// server confirms. wait is when to look again instead.
func (r *reconciler) decide(ctx context.Context, e Engine, key revision.Key) (c choice, wait time.Duration, err error) {
	h, err := r.held(ctx, e, key)
	if err != nil {
		return choice{}, 0, err
	}
	if c, err = r.cached(ctx, key, h); err != nil || c.undecided {
		return c, 0, err
	}
	return r.confirmed(ctx, key, h, c)
}
